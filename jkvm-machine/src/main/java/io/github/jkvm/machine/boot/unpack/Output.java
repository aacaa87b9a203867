package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;
import java.util.Arrays;

/** The unpacked bytes, up to as many as were announced. All of them are there for matches to look back to. */
final class Output {
    /** Kernels grow about four to eight times when they are unpacked. */
    private static final long USUAL_GROWTH = 8;

    private final int limit;
    private byte[] bytes;
    private int length;

    /**
     * Creates an empty output. Takes memory for what a kernel usually unpacks to, and for more only as it comes.
     *
     * @param limit how many bytes there will be
     * @param packedSize how many there are packed
     */
    Output(int limit, int packedSize) {
        this.limit = limit;
        bytes = new byte[(int) Math.min(limit, packedSize * USUAL_GROWTH)];
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
