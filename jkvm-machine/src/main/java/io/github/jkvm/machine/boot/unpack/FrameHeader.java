package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;

/**
 * What a Zstandard frame says before its blocks (RFC 8878, 3.1.1.1).
 *
 * @param checksum whether a checksum follows the last block
 * @param tellsSize whether it says how many bytes it unpacks to
 * @param size how many; an unsigned number
 * @param window how many bytes back matches look at most; an unsigned number
 */
record FrameHeader(boolean checksum, boolean tellsSize, long size, long window) {
    /** What a frame begins with. */
    static final int MAGIC = 0xFD2F_B528;

    private static final int SINGLE_SEGMENT = 1 << 5;
    private static final int RESERVED = 1 << 3;
    private static final int CHECKSUM = 1 << 2;
    private static final int SMALLEST_WINDOW_LOG = 10;

    /** Where the header is read from. */
    interface Source {
        /** Takes the next bytes, at most 8, as a little-endian number. */
        long take(int count) throws IOException;
    }

    /**
     * Reads what follows the magic number.
     *
     * @throws IOException if it is malformed, or the frame needs a dictionary
     */
    static FrameHeader read(Source source) throws IOException {
        int descriptor = (int) source.take(1);
        boolean singleSegment = (descriptor & SINGLE_SEGMENT) != 0;
        if ((descriptor & RESERVED) != 0) {
            throw new IOException("zstd frame has the reserved bit of its header set");
        }
        long window = singleSegment ? 0 : window((int) source.take(1));
        int dictionarySize = descriptor & 3;
        if (source.take(dictionarySize == 3 ? 4 : dictionarySize) != 0) {
            throw new IOException("zstd frame needs a dictionary");
        }
        int sizeFlag = descriptor >> 6;
        int sizeBytes = sizeFlag == 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag;
        long size = source.take(sizeBytes) + (sizeBytes == 2 ? 256 : 0);
        return new FrameHeader((descriptor & CHECKSUM) != 0, sizeBytes > 0, size, singleSegment ? size : window);
    }

    /** A window's size: a power of two and some eighths of it (3.1.1.1.2). */
    private static long window(int descriptor) {
        long power = 1L << (SMALLEST_WINDOW_LOG + (descriptor >> 3));
        return power + power / 8 * (descriptor & 7);
    }
}
