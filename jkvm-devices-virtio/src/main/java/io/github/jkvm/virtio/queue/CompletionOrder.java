package io.github.jkvm.virtio.queue;

import java.util.Arrays;

/**
 * Completions that wait for those of chains popped before, for drivers that expect chains back in order ({@code VIRTIO_F_IN_ORDER}; virtio
 * 1.2, 2.7.9 and 2.8.8).
 *
 * <p>Chains have the numbers 1, 2, 3 and so on, as they are popped; so many are in flight at most as the queue has descriptors.
 */
final class CompletionOrder {
    private static final int NOT_COMPLETED = -1;

    private int[] heads = {};
    private int[] slots = {};
    private long[] written = {};
    private long oldest = 1;
    private int held;

    /** Makes room for a queue's size, and begins anew. */
    void resize(int size) {
        if (heads.length < size) {
            heads = new int[size];
            slots = new int[size];
            written = new long[size];
        }
        clear();
    }

    void clear() {
        Arrays.fill(written, NOT_COMPLETED);
        oldest = 1;
        held = 0;
    }

    /** Returns how many were completed and not taken. */
    int held() {
        return held;
    }

    void completed(long number, int head, int slotCount, long writtenBytes) {
        int at = index(number);
        heads[at] = head;
        slots[at] = slotCount;
        written[at] = writtenBytes;
        held++;
    }

    /** Tells whether the chain that comes next was completed. */
    boolean isNextCompleted() {
        return held != 0 && written[index(oldest)] != NOT_COMPLETED;
    }

    int nextHead() {
        return heads[index(oldest)];
    }

    int nextSlots() {
        return slots[index(oldest)];
    }

    long nextWritten() {
        return written[index(oldest)];
    }

    void takeNext() {
        written[index(oldest)] = NOT_COMPLETED;
        oldest++;
        held--;
    }

    private int index(long number) {
        return (int) (number % heads.length);
    }
}
