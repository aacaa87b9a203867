package io.github.jkvm.virtio.block;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** A part of a disk, as a disk of its own that closes nothing. */
record DiskPart(DiskImage whole, long start, long size) implements DiskImage {
    @Override
    public boolean isReadOnly() {
        return whole.isReadOnly();
    }

    @Override
    public void read(long offset, List<MemorySegment> targets) throws IOException {
        whole.read(start + offset, targets);
    }

    @Override
    public void write(long offset, List<MemorySegment> sources) throws IOException {
        whole.write(start + offset, sources);
    }

    @Override
    public void flush() throws IOException {
        whole.flush();
    }

    @Override
    public void discard(long offset, long length) throws IOException {
        whole.discard(start + offset, length);
    }

    @Override
    public void writeZeroes(long offset, long length, ZeroMode mode) throws IOException {
        whole.writeZeroes(start + offset, length, mode);
    }

    @Override
    public void close() {}
}
