package io.github.jkvm.testkit.virtio;

import io.github.jkvm.GuestMemory;

/** Hands out buffers of a range of guest memory, one after the other. */
public final class GuestBuffers {
    private final GuestMemory memory;
    private final long base;
    private final long size;
    private long taken;

    /**
     * Hands out buffers of a range of memory.
     *
     * @param memory the memory
     * @param base guest-physical address of the range
     * @param size its size in bytes
     */
    public GuestBuffers(GuestMemory memory, long base, long size) {
        this.memory = memory;
        this.base = base;
        this.size = size;
    }

    /**
     * Returns a buffer for the device to read.
     *
     * @param content what is in it
     * @return the buffer
     * @throws IllegalStateException if there is no room left
     */
    public Buffer readable(byte... content) {
        long address = take(content.length);
        memory.write(address, content);
        return Buffer.readable(address, content.length);
    }

    /**
     * Returns a buffer of zeroes for the device to write.
     *
     * @param length its length in bytes, 0 or more
     * @return the buffer
     * @throws IllegalStateException if there is no room left
     */
    public Buffer writable(int length) {
        long address = take(length);
        memory.fill(address, length, (byte) 0);
        return Buffer.writable(address, length);
    }

    /**
     * Returns what is in a buffer now.
     *
     * @param buffer the buffer
     * @return a copy of its bytes
     * @throws io.github.jkvm.GuestMemoryException if it is not all in memory
     */
    public byte[] bytes(Buffer buffer) {
        return memory.read(buffer.address(), Math.toIntExact(buffer.length()));
    }

    /** Forgets all buffers: their memory is handed out again. For tests that know that their chains are back. */
    public void clear() {
        taken = 0;
    }

    /** Returns the memory that buffers are part of. */
    GuestMemory memory() {
        return memory;
    }

    private long take(int length) {
        if (length < 0 || length > size - taken) {
            throw new IllegalStateException("no room for a buffer of " + length + " bytes: " + taken + " of " + size
                    + " are taken; clear() when the chains are back");
        }
        long address = base + taken;
        // Each begins on its own eight bytes, and no two touch.
        taken = Math.min(size, (taken + length + 16) & ~7L);
        return address;
    }
}
