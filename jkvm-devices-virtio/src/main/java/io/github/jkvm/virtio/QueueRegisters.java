package io.github.jkvm.virtio;

import io.github.jkvm.DeviceState;
import io.github.jkvm.virtio.queue.QueueLayout;
import java.util.Arrays;

/** What the driver has written about one queue. Any values are possible; they are checked when the queue is put into use. Guarded by the core. */
final class QueueRegisters {
    /** The three parts of a queue (virtio 1.2, 2.6). */
    enum Part {
        /** Descriptor area: the descriptor table. */
        DESCRIPTORS,
        /** Driver area: the available ring. */
        DRIVER,
        /** Device area: the used ring. */
        DEVICE
    }

    private static final long LOW = 0xFFFF_FFFFL;

    private final int maxSize;
    private final long[] addresses = new long[Part.values().length];
    private int size;
    private boolean ready;

    QueueRegisters(int maxSize) {
        this.maxSize = maxSize;
        this.size = maxSize;
    }

    int maxSize() {
        return maxSize;
    }

    int size() {
        return size;
    }

    void setSize(int value) {
        size = value;
    }

    boolean isReady() {
        return ready;
    }

    void setReady(boolean value) {
        ready = value;
    }

    long address(Part part) {
        return addresses[part.ordinal()];
    }

    void setLow(Part part, long value) {
        addresses[part.ordinal()] = (address(part) & ~LOW) | (value & LOW);
    }

    void setHigh(Part part, long value) {
        addresses[part.ordinal()] = (address(part) & LOW) | (value << Integer.SIZE);
    }

    QueueLayout layout() {
        return new QueueLayout(size, address(Part.DESCRIPTORS), address(Part.DRIVER), address(Part.DEVICE));
    }

    void reset() {
        size = maxSize;
        ready = false;
        Arrays.fill(addresses, 0);
    }

    void save(DeviceState state, String name) {
        state.putNumber(name + ".size", size);
        state.putNumber(name + ".ready", ready ? 1 : 0);
        for (Part part : Part.values()) {
            state.putNumber(name + "." + part, address(part));
        }
    }

    void restore(DeviceState state, String name) {
        size = (int) state.number(name + ".size", 0, 0xFFFF);
        ready = state.number(name + ".ready", 0, 1) == 1;
        for (Part part : Part.values()) {
            addresses[part.ordinal()] = state.number(name + "." + part);
        }
    }
}
