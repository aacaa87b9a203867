package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.TestDriver.Buffer;

/** Hands out buffers of a guest's memory, one after the other. */
public final class TestBuffers {
    private final GuestMemory memory;
    private final long base;
    private final long size;
    private long taken;

    /** Hands out buffers of a range of memory. */
    public TestBuffers(GuestMemory memory, long base, long size) {
        this.memory = memory;
        this.base = base;
        this.size = size;
    }

    /** Hands out the 128 KiB of {@link TestDriver#memory} that rings and indirect tables leave. */
    public static TestBuffers in(GuestMemory memory) {
        return new TestBuffers(memory, TestDriver.BUFFERS, TestDriver.TABLES - TestDriver.BUFFERS);
    }

    /** Returns a buffer for the device to read, with these bytes in it. */
    public Buffer readable(byte... content) {
        long address = take(content.length);
        memory.write(address, content);
        return Buffer.readable(address, content.length);
    }

    /** Returns a buffer of zeroes for the device to write. */
    public Buffer writable(int length) {
        long address = take(length);
        memory.fill(address, length, (byte) 0);
        return Buffer.writable(address, length);
    }

    /** Returns what is in a buffer now. */
    public byte[] bytes(Buffer buffer) {
        return memory.read(buffer.address(), (int) buffer.length());
    }

    /** Forgets all buffers: their memory is handed out again. */
    public void clear() {
        taken = 0;
    }

    private long take(int length) {
        if (length > size - taken) {
            throw new AssertionError("no room for a buffer of " + length + " bytes: " + taken + " of " + size
                    + " are taken; clear() when the chains are back");
        }
        long address = base + taken;
        // Each begins on its own eight bytes, and no two touch.
        taken = Math.min(size, (taken + length + 16) & ~7L);
        return address;
    }
}
