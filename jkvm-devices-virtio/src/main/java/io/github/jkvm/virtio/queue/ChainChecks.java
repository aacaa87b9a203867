package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import org.jspecify.annotations.Nullable;

/** What every descriptor must keep to, in either format; its values were read once and are passed as such. */
final class ChainChecks {
    // Flags of a descriptor (virtio 1.2, 2.7.5 and 2.8.3 to 2.8.7).
    static final int NEXT = 1;
    static final int WRITE = 2;
    static final int INDIRECT = 4;

    private static final long MAX_BYTES = 0xFFFF_FFFFL;

    private final GuestMemory memory;

    ChainChecks(GuestMemory memory) {
        this.memory = memory;
    }

    /** Returns what is wrong with an indirect descriptor, or null. */
    @Nullable
    QueueFault checkIndirect(
            DescriptorChain chain, boolean allowed, int queueSize, long address, long length, int flags) {
        if (!allowed) {
            return fault(
                    Reason.INDIRECT_NOT_NEGOTIATED, chain, "has an indirect descriptor; the feature is not negotiated");
        }
        if ((flags & NEXT) != 0) {
            return fault(Reason.INDIRECT_WITH_NEXT, chain, "has an indirect descriptor with a next one");
        }
        if (length == 0
                || length % QueueLayout.DESCRIPTOR_BYTES != 0
                || length / QueueLayout.DESCRIPTOR_BYTES > queueSize) {
            return fault(
                    Reason.INDIRECT_LENGTH,
                    chain,
                    "has an indirect table of " + length + " bytes; it must be a multiple of "
                            + QueueLayout.DESCRIPTOR_BYTES + " from 1 to " + queueSize + " descriptors");
        }
        if (!memory.contains(address, length)) {
            return fault(Reason.BUFFER_OUTSIDE_MEMORY, chain, "has an indirect table " + range(address, length));
        }
        return null;
    }

    /** Adds a buffer to a chain, or returns what is wrong with it. */
    @Nullable
    QueueFault add(DescriptorChain chain, long address, long length, int flags) {
        boolean writable = (flags & WRITE) != 0;
        if (!writable && chain.hasWritablePart()) {
            return fault(Reason.READABLE_AFTER_WRITABLE, chain, "has a readable buffer after a writable one");
        }
        if (length > MAX_BYTES - chain.readableBytes() - chain.writableBytes()) {
            return fault(Reason.CHAIN_TOO_LARGE, chain, "is longer than " + MAX_BYTES + " bytes");
        }
        MemoryRegion region = memory.find(address, length);
        if (region == null || (writable && region.access() != MemoryRegion.Access.READ_WRITE)) {
            QueueFault fault = checkRange(chain, address, length, writable);
            if (fault != null) {
                return fault;
            }
        }
        chain.add(address, length, writable);
        return null;
    }

    /** Checks what is not plainly right: buffers across regions, of no bytes, or wrong ones. */
    private @Nullable QueueFault checkRange(DescriptorChain chain, long address, long length, boolean writable) {
        if (!memory.contains(address, length)) {
            return fault(Reason.BUFFER_OUTSIDE_MEMORY, chain, "has a buffer " + range(address, length));
        }
        if (writable && !memory.isWritable(address, length)) {
            return fault(Reason.BUFFER_READ_ONLY, chain, "has a writable buffer " + range(address, length));
        }
        return null;
    }

    static QueueFault fault(Reason reason, DescriptorChain chain, String text) {
        return new QueueFault(reason, "chain " + chain.head() + " " + text);
    }

    private static String range(long address, long length) {
        return "of " + length + " bytes at 0x" + Long.toHexString(address);
    }
}
