package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;
import java.util.Arrays;

/** The unpacked bytes, up to as many as were announced, for matches to look back to: all of them, or the last of them if there is a window. */
final class Output {
    /** Kernels grow about four to eight times when they are unpacked. */
    private static final long USUAL_GROWTH = 8;

    private final int limit;
    private final int window;
    private byte[] bytes;
    private int length;

    /**
     * Creates an empty output. Takes memory for what a kernel usually unpacks to, and for more only as it comes.
     *
     * @param limit how many bytes there will be
     * @param packedSize how many there are packed
     */
    Output(int limit, int packedSize) {
        this(limit, limit, packedSize);
    }

    private Output(int limit, int window, int packedSize) {
        this.limit = limit;
        this.window = window;
        bytes = new byte[(int) Math.min(limit, packedSize * USUAL_GROWTH)];
    }

    /**
     * Creates an empty output of which only the last bytes are kept.
     *
     * @param window how many bytes matches look back at most
     */
    static Output ofWindow(int window) {
        // Room for as much again, so that the window is not moved for every block.
        return new Output(Math.max(2 * window, window + ZstdDecoder.MAX_BLOCK), window, ZstdDecoder.MAX_BLOCK);
    }

    /** Makes room for another block: forgets what is further back than the window. Returns how many bytes were forgotten, and now count no more. */
    int slide() {
        if (length <= limit - ZstdDecoder.MAX_BLOCK) {
            return 0;
        }
        int forgotten = length - window;
        System.arraycopy(bytes, forgotten, bytes, 0, window);
        length = window;
        return forgotten;
    }

    /** Gives some of the bytes. */
    void get(int from, byte[] to, int at, int count) {
        System.arraycopy(bytes, from, to, at, count);
    }

    /** Adds some of the bytes to a hash. */
    void hash(int from, XxHash64 hash) {
        hash.update(bytes, from, length - from);
    }

    int length() {
        return length;
    }

    int limit() {
        return limit;
    }

    /** Returns all that was put out; no more may be put out then. */
    byte[] finish() throws IOException {
        if (length != limit) {
            throw new IOException("only " + length + " bytes unpacked, where " + limit + " were announced");
        }
        return length == bytes.length ? bytes : Arrays.copyOf(bytes, length);
    }

    void copy(byte[] source, int from, int count) throws IOException {
        makeRoom(count);
        System.arraycopy(source, from, bytes, length, count);
        length += count;
    }

    void fill(byte value, int count) throws IOException {
        makeRoom(count);
        Arrays.fill(bytes, length, length + count, value);
        length += count;
    }

    /** Repeats bytes from a distance back; they may be among those that this writes. */
    void repeat(int distance, int count) throws IOException {
        makeRoom(count);
        if (distance <= 0 || distance > length) {
            throw new IOException("a match looks back " + distance + " bytes from byte " + length);
        }
        int from = length - distance;
        if (distance >= count) {
            System.arraycopy(bytes, from, bytes, length, count);
        } else {
            for (int i = 0; i < count; i++) {
                bytes[length + i] = bytes[from + i];
            }
        }
        length += count;
    }

    private void makeRoom(int count) throws IOException {
        if (count > limit - length) {
            throw new IOException("more bytes unpacked than the " + limit + " announced");
        }
        if (count > bytes.length - length) {
            bytes = Arrays.copyOf(bytes, (int) Math.min(limit, 2L * (length + count)));
        }
    }
}
