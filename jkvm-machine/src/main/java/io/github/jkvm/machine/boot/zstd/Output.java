package io.github.jkvm.machine.boot.zstd;

import java.io.IOException;
import java.util.Arrays;

/** The unpacked bytes, up to as many as were announced. All of them are the window that matches look back to. */
final class Output {
    private final int limit;
    private byte[] bytes;
    private int length;

    /**
     * Creates an empty output.
     *
     * @param limit the most bytes that it takes
     * @param guess how many there will probably be: memory for more is taken as they come
     */
    Output(int limit, long guess) {
        this.limit = limit;
        bytes = new byte[(int) Math.min(limit, guess)];
    }

    int length() {
        return length;
    }

    int limit() {
        return limit;
    }

    /** Returns what was put out; no more may be put out then. */
    byte[] toArray() {
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
        if (distance > length) {
            throw new IOException("zstd sequence looks back " + distance + " bytes from byte " + length);
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
            throw new IOException("zstd data unpacks to more than " + limit + " bytes");
        }
        if (count > bytes.length - length) {
            bytes = Arrays.copyOf(bytes, (int) Math.min(limit, 2L * (length + count)));
        }
    }
}
