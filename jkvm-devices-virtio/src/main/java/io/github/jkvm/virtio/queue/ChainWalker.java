package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import org.jspecify.annotations.Nullable;

/**
 * Follows a chain through the descriptor table and at most one indirect table.
 *
 * <p>Each descriptor is read once, as two numbers; only those are looked at afterwards, since the guest may rewrite its memory meanwhile.
 */
final class ChainWalker {
    // Flags of a descriptor (virtio 1.2, 2.7.5).
    private static final int NEXT = 1;
    private static final int WRITE = 2;
    private static final int INDIRECT = 4;

    private static final long MAX_BYTES = 0xFFFF_FFFFL;

    private final GuestMemory memory;

    ChainWalker(GuestMemory memory) {
        this.memory = memory;
    }

    /**
     * Fills a chain with what hangs on a head, or returns what is wrong with it.
     *
     * @throws io.github.jkvm.GuestMemoryException if memory was taken away since the queue was activated
     */
    @Nullable
    QueueFault walk(QueueLayout layout, boolean indirectAllowed, int head, DescriptorChain chain) {
        chain.begin(memory, head);
        long table = layout.descriptors();
        int entries = layout.size();
        int index = head;
        int buffers = 0;
        boolean inIndirectTable = false;
        while (true) {
            if (index >= entries) {
                return fault(Reason.DESCRIPTOR_INDEX, head, "has index " + index + "; the table has " + entries);
            }
            long at = table + (long) QueueLayout.DESCRIPTOR_BYTES * index;
            long address = memory.readLong(at);
            long rest = memory.readLong(at + Long.BYTES);
            long length = rest & 0xFFFF_FFFFL;
            int flags = (int) (rest >>> 32) & 0xFFFF;
            if ((flags & INDIRECT) != 0) {
                if (inIndirectTable) {
                    return fault(Reason.INDIRECT_NESTED, head, "has an indirect descriptor in an indirect table");
                }
                QueueFault fault = checkIndirect(layout, indirectAllowed, head, address, length, flags);
                if (fault != null) {
                    return fault;
                }
                inIndirectTable = true;
                table = address;
                entries = (int) (length / QueueLayout.DESCRIPTOR_BYTES);
                index = 0;
                continue;
            }
            // A loop ends here too.
            if (++buffers > layout.size()) {
                return fault(Reason.CHAIN_TOO_LONG, head, "has more than " + layout.size() + " descriptors, or a loop");
            }
            QueueFault fault = addBuffer(chain, address, length, (flags & WRITE) != 0);
            if (fault != null || (flags & NEXT) == 0) {
                return fault;
            }
            index = (int) (rest >>> 48);
        }
    }

    private @Nullable QueueFault checkIndirect(
            QueueLayout layout, boolean allowed, int head, long address, long length, int flags) {
        if (!allowed) {
            return fault(
                    Reason.INDIRECT_NOT_NEGOTIATED, head, "has an indirect descriptor; the feature is not negotiated");
        }
        if ((flags & NEXT) != 0) {
            return fault(Reason.INDIRECT_WITH_NEXT, head, "has an indirect descriptor with a next one");
        }
        if (length == 0
                || length % QueueLayout.DESCRIPTOR_BYTES != 0
                || length / QueueLayout.DESCRIPTOR_BYTES > layout.size()) {
            return fault(
                    Reason.INDIRECT_LENGTH,
                    head,
                    "has an indirect table of " + length + " bytes; it must be a multiple of "
                            + QueueLayout.DESCRIPTOR_BYTES + " from 1 to " + layout.size() + " descriptors");
        }
        if (!memory.contains(address, length)) {
            return fault(Reason.BUFFER_OUTSIDE_MEMORY, head, "has an indirect table " + range(address, length));
        }
        return null;
    }

    private @Nullable QueueFault addBuffer(DescriptorChain chain, long address, long length, boolean writable) {
        int head = chain.head();
        if (!writable && chain.hasWritablePart()) {
            return fault(Reason.READABLE_AFTER_WRITABLE, head, "has a readable buffer after a writable one");
        }
        if (length > MAX_BYTES - chain.readableBytes() - chain.writableBytes()) {
            return fault(Reason.CHAIN_TOO_LARGE, head, "is longer than " + MAX_BYTES + " bytes");
        }
        if (!memory.contains(address, length)) {
            return fault(Reason.BUFFER_OUTSIDE_MEMORY, head, "has a buffer " + range(address, length));
        }
        if (writable && !GuestRanges.isWritable(memory, address, length)) {
            return fault(Reason.BUFFER_READ_ONLY, head, "has a writable buffer " + range(address, length));
        }
        chain.add(address, length, writable);
        return null;
    }

    private static QueueFault fault(Reason reason, int head, String text) {
        return new QueueFault(reason, "chain " + head + " " + text);
    }

    private static String range(long address, long length) {
        return "of " + length + " bytes at 0x" + Long.toHexString(address);
    }
}
