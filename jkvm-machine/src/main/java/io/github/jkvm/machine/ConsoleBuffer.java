package io.github.jkvm.machine;

import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.util.Objects;

/** Output that waits to be read: a ring that grows up to a limit and then drops its oldest byte for each new one. */
final class ConsoleBuffer extends OutputStream {
    private static final int FIRST_SIZE = 4096;

    private final int capacity;
    private byte[] data;
    private int first;
    private int size;
    private long dropped;
    private boolean ended;

    ConsoleBuffer(int capacity) {
        this.capacity = capacity;
        this.data = new byte[Math.min(FIRST_SIZE, capacity)];
    }

    @Override
    public synchronized void write(int value) {
        if (size == data.length) {
            makeRoom();
        }
        data[(first + size) % data.length] = (byte) value;
        size++;
        notifyAll();
    }

    private void makeRoom() {
        if (data.length == capacity) {
            first = (first + 1) % capacity;
            size--;
            dropped++;
            return;
        }
        byte[] larger = new byte[Math.min(capacity, data.length * 2)];
        System.arraycopy(data, first, larger, 0, data.length - first);
        System.arraycopy(data, 0, larger, data.length - first, first);
        data = larger;
        first = 0;
    }

    /** Says that nothing more will be written: readers get the end after what is there. */
    synchronized void end() {
        ended = true;
        notifyAll();
    }

    synchronized long dropped() {
        return dropped;
    }

    private synchronized int take(byte[] target, int offset, int length) throws InterruptedException {
        while (size == 0 && !ended) {
            wait();
        }
        if (size == 0) {
            return -1;
        }
        int taken = Math.min(length, size);
        int untilEnd = Math.min(taken, data.length - first);
        System.arraycopy(data, first, target, offset, untilEnd);
        System.arraycopy(data, 0, target, offset + untilEnd, taken - untilEnd);
        first = (first + taken) % data.length;
        size -= taken;
        return taken;
    }

    private synchronized int waiting() {
        return size;
    }

    InputStream reader() {
        return new Reader();
    }

    private final class Reader extends InputStream {
        @Override
        public int read() throws InterruptedIOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws InterruptedIOException {
            Objects.checkFromIndexSize(offset, length, target.length);
            if (length == 0) {
                return 0;
            }
            try {
                return take(target, offset, length);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                var interrupted = new InterruptedIOException("interrupted while waiting for the guest's output");
                interrupted.initCause(e);
                throw interrupted;
            }
        }

        @Override
        public int available() {
            return waiting();
        }
    }
}
