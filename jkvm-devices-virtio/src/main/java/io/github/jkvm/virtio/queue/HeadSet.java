package io.github.jkvm.virtio.queue;

import java.util.Arrays;

/** The heads of the chains in flight: a bit each, allocated once for a queue's size. */
final class HeadSet {
    private long[] words = {};
    private int count;

    /** Makes room for heads below a size, and is empty. */
    void resize(int size) {
        int needed = (size + Long.SIZE - 1) / Long.SIZE;
        if (words.length < needed) {
            words = new long[needed];
        }
        clear();
    }

    void clear() {
        Arrays.fill(words, 0);
        count = 0;
    }

    int count() {
        return count;
    }

    boolean contains(int head) {
        return (words[head / Long.SIZE] & 1L << head) != 0;
    }

    void add(int head) {
        words[head / Long.SIZE] |= 1L << head;
        count++;
    }

    void remove(int head) {
        words[head / Long.SIZE] &= ~(1L << head);
        count--;
    }
}
