package io.github.jkvm.machine.snapshot;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/** CRC-32Cs of the pieces of a guest's memory. */
final class Checksums {
    /** How much one checksum covers, in bytes; the last piece may be shorter. */
    static final int PIECE = 2 << 20;

    private static final MemorySegment ZEROS =
            MemorySegment.ofArray(new byte[PIECE]).asReadOnly();

    private static final int ZERO_PIECE = ofZeros();

    /** What counts where there are no pages. */
    enum Gaps {
        /** As many zeros. */
        ZEROS,
        /** Nothing. */
        NOTHING
    }

    private Checksums() {}

    /** Returns how many pieces there are. */
    static long count(long size) {
        return Math.ceilDiv(size, PIECE);
    }

    /**
     * Calculates the checksums.
     *
     * @param size size of the memory in bytes
     * @param runs the pages, in order
     * @param gaps what is between them
     * @return a checksum for each piece
     */
    static List<Integer> of(long size, List<Run> runs, Gaps gaps) {
        List<Integer> checksums = new ArrayList<>();
        int next = 0;
        for (long start = 0; start < size; start += PIECE) {
            long end = Math.min(start + PIECE, size);
            if (gaps == Gaps.ZEROS
                    && end - start == PIECE
                    && (next == runs.size() || runs.get(next).start() >= end)) {
                checksums.add(ZERO_PIECE);
                continue;
            }
            var crc = new CRC32C();
            long at = start;
            while (next < runs.size() && runs.get(next).start() < end) {
                Run run = runs.get(next);
                long from = Math.max(run.start(), start);
                long to = Math.min(run.end(), end);
                addGap(crc, from - at, gaps);
                add(crc, run.bytes().asSlice(from - run.start(), to - from));
                at = to;
                if (run.end() > end) {
                    break;
                }
                next++;
            }
            addGap(crc, end - at, gaps);
            checksums.add((int) crc.getValue());
        }
        return List.copyOf(checksums);
    }

    private static void addGap(CRC32C crc, long length, Gaps gaps) {
        if (gaps == Gaps.ZEROS) {
            add(crc, ZEROS.asSlice(0, length));
        }
    }

    private static void add(CRC32C crc, MemorySegment bytes) {
        crc.update(bytes.asByteBuffer());
    }

    private static int ofZeros() {
        var crc = new CRC32C();
        add(crc, ZEROS);
        return (int) crc.getValue();
    }
}
