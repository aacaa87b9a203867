package io.github.jkvm.machine.device;

/** A first-in, first-out queue of bytes with a fixed size. Not safe for use by several threads. */
final class ByteQueue {
    private final byte[] data;
    private int first;
    private int size;

    ByteQueue(int capacity) {
        data = new byte[capacity];
    }

    int size() {
        return size;
    }

    boolean isEmpty() {
        return size == 0;
    }

    boolean isFull() {
        return size == data.length;
    }

    /** Adds one byte, for which there must be room. */
    void add(int value) {
        if (isFull()) {
            throw new IllegalStateException("the queue holds its " + data.length + " bytes already");
        }
        data[(first + size) % data.length] = (byte) value;
        size++;
    }

    /** Adds bytes while there is room and returns how many. */
    int add(byte[] source, int offset, int length) {
        int taken = Math.min(length, data.length - size);
        int at = (first + size) % data.length;
        int untilEnd = Math.min(taken, data.length - at);
        System.arraycopy(source, offset, data, at, untilEnd);
        System.arraycopy(source, offset + untilEnd, data, 0, taken - untilEnd);
        size += taken;
        return taken;
    }

    /** Removes and returns the first byte, 0 to 255; there must be one. */
    int remove() {
        if (isEmpty()) {
            throw new IllegalStateException("the queue is empty");
        }
        int value = data[first] & 0xFF;
        first = (first + 1) % data.length;
        size--;
        return value;
    }

    void clear() {
        first = 0;
        size = 0;
    }

    byte[] toArray() {
        byte[] copy = new byte[size];
        for (int i = 0; i < size; i++) {
            copy[i] = data[(first + i) % data.length];
        }
        return copy;
    }
}
