package io.github.jkvm.testkit;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * What a guest has written to a port: its first and its last bytes, and how many there were. A guest that never stops writing takes no more
 * memory than that.
 */
final class GuestText {
    /** So many of the first bytes are kept, and as many of the last. */
    static final int KEPT = 1 << 18;

    private static final int FIRST_SIZE = 256;

    private byte[] head = new byte[FIRST_SIZE];
    private byte[] tail = {};
    private long length;

    void add(int value) {
        if (length < KEPT) {
            if (length == head.length) {
                head = Arrays.copyOf(head, head.length * 2);
            }
            head[(int) length] = (byte) value;
        } else {
            if (tail.length == 0) {
                tail = new byte[KEPT];
            }
            tail[(int) ((length - KEPT) % KEPT)] = (byte) value;
        }
        length++;
    }

    long length() {
        return length;
    }

    /** Returns the text as UTF-8; where bytes were dropped there is a note that says how many. */
    String text() {
        int first = (int) Math.min(length, KEPT);
        String text = new String(head, 0, first, StandardCharsets.UTF_8);
        if (length <= KEPT) {
            return text;
        }
        long later = length - KEPT;
        if (later <= KEPT) {
            return text + new String(tail, 0, (int) later, StandardCharsets.UTF_8);
        }
        int oldest = (int) (later % KEPT);
        byte[] last = new byte[KEPT];
        System.arraycopy(tail, oldest, last, 0, KEPT - oldest);
        System.arraycopy(tail, 0, last, KEPT - oldest, oldest);
        return text + "\n[... " + (later - KEPT) + " bytes not kept ...]\n" + new String(last, StandardCharsets.UTF_8);
    }

    /** Tells whether the bytes written last are these. */
    boolean endsWith(byte[] wanted) {
        if (wanted.length > length || wanted.length > KEPT) {
            return false;
        }
        for (int i = 1; i <= wanted.length; i++) {
            if (at(length - i) != wanted[wanted.length - i]) {
                return false;
            }
        }
        return true;
    }

    private byte at(long index) {
        return index < KEPT ? head[(int) index] : tail[(int) ((index - KEPT) % KEPT)];
    }
}
