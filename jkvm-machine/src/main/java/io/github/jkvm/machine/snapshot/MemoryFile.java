package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Bytes;
import io.github.jkvm.machine.state.Pages;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import java.util.List;

/**
 * Where the contents of a memory lie, as a snapshot's file tells.
 *
 * @param file name of the file, in the same folder
 * @param identity by which snapshots that build on this one know it
 * @param base the snapshot that this one builds on: one, or none if it is whole
 * @param size its size in bytes, which is the memory's; each page is at its own place
 * @param pages a bit for each page that it has, the first page's in the lowest bit of the first byte; the others are as in the base, or zeros
 * @param checksums the CRC-32C of each piece of {@link Checksums#PIECE} bytes: of all of it if there is no base, else of the pages that it has
 */
record MemoryFile(
        String file, Identity identity, List<Identity> base, long size, Bytes pages, List<Integer> checksums) {
    /** How a file of this kind is named: nothing else in the folder is ours to delete. */
    static final String PREFIX = "memory-";

    private static final RecordCodec<MemoryFile> CODEC = new RecordCodec<>(MemoryFile.class);

    static String layout() {
        return CODEC.layout();
    }

    /** Writes pages to a new file, with holes where there are none or zeros, and returns once they are on the disk. */
    static void write(Path file, long size, List<Run> runs) throws IOException {
        try (var channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            for (Run run : runs) {
                MemorySegment bytes = run.bytes();
                // A buffer has no more than 2 GiB.
                for (long start = 0; start < bytes.byteSize(); start += Checksums.PIECE) {
                    long length = Math.min(Checksums.PIECE, bytes.byteSize() - start);
                    writeNonzero(channel, run.start() + start, bytes.asSlice(start, length));
                }
            }
            if (channel.size() < size) {
                channel.write(ByteBuffer.allocate(1), size - 1);
            }
            channel.force(true);
        }
    }

    private static void writeNonzero(FileChannel channel, long start, MemorySegment piece) throws IOException {
        long size = piece.byteSize();
        long page = 0;
        while ((page = Pages.nextNonzero(piece, page, size)) < size) {
            long end = Pages.nextZero(piece, page, size);
            ByteBuffer run = piece.asSlice(page, end - page).asByteBuffer();
            long position = start + page;
            while (run.hasRemaining()) {
                position += channel.write(run, position);
            }
            page = end;
        }
    }

    BitSet pageSet() {
        return BitSet.valueOf(pages.toArray());
    }

    Bytes encode() {
        return Bytes.copyOf(CODEC.encode(this));
    }

    /**
     * Reads what {@link #encode} wrote.
     *
     * @throws IllegalArgumentException if the bytes are no such description, or one of a file that can't be ours
     */
    static MemoryFile decode(byte[] bytes) {
        MemoryFile read = CODEC.decode(bytes);
        if (!read.file.startsWith(PREFIX) || read.file.indexOf('/') >= 0 || read.file.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("names the file '" + read.file + "', which is none of a snapshot's");
        }
        if (read.size <= 0 || read.checksums.size() != Checksums.count(read.size)) {
            throw new IllegalArgumentException(
                    "has " + read.checksums.size() + " checksums for a memory of " + read.size + " bytes");
        }
        if (read.base.size() > 1) {
            throw new IllegalArgumentException("builds on " + read.base.size() + " snapshots; one is the most");
        }
        long pages = Math.ceilDiv(read.size, Pages.SIZE);
        if (read.pageSet().length() > pages) {
            throw new IllegalArgumentException(
                    "has page " + (read.pageSet().length() - 1) + " of a memory of " + pages + " pages");
        }
        return read;
    }
}
