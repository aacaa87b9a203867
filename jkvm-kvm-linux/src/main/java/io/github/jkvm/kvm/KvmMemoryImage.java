package io.github.jkvm.kvm;

import io.github.jkvm.MemoryImage;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;

/** An image in a file, mostly one without a name (memfd), of which guests map private copies. */
final class KvmMemoryImage implements MemoryImage {
    private final HostMemory memory;
    private final MemorySegment segment;
    private final AtomicBoolean closed = new AtomicBoolean();

    KvmMemoryImage(HostMemory memory) {
        this(memory, memory.segment());
    }

    private KvmMemoryImage(HostMemory memory, MemorySegment segment) {
        this.memory = memory;
        this.segment = segment;
    }

    static KvmMemoryImage readOnly(HostMemory memory) {
        return new KvmMemoryImage(memory, memory.segment().asReadOnly());
    }

    /** The file. Of a closed image, using it is an {@link IllegalStateException}. */
    OwnedFd file() {
        return Objects.requireNonNull(memory.file());
    }

    @Override
    public long size() {
        return segment.byteSize();
    }

    @Override
    public MemorySegment segment() {
        return segment;
    }

    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            memory.close();
        }
    }

    @Override
    public String toString() {
        return "image " + file();
    }
}
