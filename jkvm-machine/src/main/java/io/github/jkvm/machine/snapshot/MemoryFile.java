package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Bytes;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * Where the contents of a memory lie, as a snapshot's file tells.
 *
 * @param file name of the file, in the same folder
 * @param size its size in bytes
 * @param checksums the CRC-32C of each piece of {@link #PIECE} bytes
 */
record MemoryFile(String file, long size, List<Integer> checksums) {
    /** How much one checksum covers, in bytes; the last piece may be shorter. */
    static final int PIECE = 2 << 20;

    /** How a file of this kind is named: nothing else in the folder is ours to delete. */
    static final String PREFIX = "memory-";

    private static final RecordCodec<MemoryFile> CODEC = new RecordCodec<>(MemoryFile.class);

    private static final int ZERO_PIECE = checksum(MemorySegment.ofArray(new byte[PIECE]));

    /** Writes the bytes to a new file, with holes where there are zeros, and returns once they are on the disk. */
    static MemoryFile write(Path file, MemorySegment bytes) throws IOException {
        long size = bytes.byteSize();
        List<Integer> checksums = new ArrayList<>();
        try (var channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            for (long start = 0; start < size; start += PIECE) {
                MemorySegment piece = bytes.asSlice(start, Math.min(PIECE, size - start));
                boolean whole = piece.byteSize() == PIECE;
                boolean empty = Pages.nextNonzero(piece, 0) == piece.byteSize();
                checksums.add(empty && whole ? ZERO_PIECE : checksum(piece));
                if (!empty) {
                    writeNonzero(channel, start, piece);
                }
            }
            if (channel.size() < size) {
                channel.write(ByteBuffer.allocate(1), size - 1);
            }
            channel.force(true);
        }
        return new MemoryFile(file.getFileName().toString(), size, List.copyOf(checksums));
    }

    private static void writeNonzero(FileChannel channel, long start, MemorySegment piece) throws IOException {
        long page = 0;
        while ((page = Pages.nextNonzero(piece, page)) < piece.byteSize()) {
            long end = Pages.nextZero(piece, page);
            ByteBuffer run = piece.asSlice(page, end - page).asByteBuffer();
            long position = start + page;
            while (run.hasRemaining()) {
                position += channel.write(run, position);
            }
            page = end;
        }
    }

    /** Returns what is wrong with the bytes, or nothing. */
    List<String> problems(MemorySegment bytes) {
        List<String> problems = new ArrayList<>();
        for (int i = 0; i < checksums.size(); i++) {
            long start = (long) i * PIECE;
            MemorySegment piece = bytes.asSlice(start, Math.min(PIECE, size - start));
            if (checksum(piece) != checksums.get(i)) {
                problems.add("bytes 0x" + Long.toHexString(start) + " to 0x"
                        + Long.toHexString(start + piece.byteSize() - 1) + " of " + file + " are damaged");
            }
        }
        return problems;
    }

    private static int checksum(MemorySegment bytes) {
        var crc = new CRC32C();
        crc.update(bytes.asByteBuffer());
        return (int) crc.getValue();
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
        if (read.size <= 0 || read.checksums.size() != (read.size + PIECE - 1) / PIECE) {
            throw new IllegalArgumentException(
                    "has " + read.checksums.size() + " checksums for a memory of " + read.size + " bytes");
        }
        return read;
    }
}
