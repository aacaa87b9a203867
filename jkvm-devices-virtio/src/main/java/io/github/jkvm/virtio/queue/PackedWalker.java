package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import org.jspecify.annotations.Nullable;

/**
 * Follows a list of descriptors along a packed ring, or through one indirect table.
 *
 * <p>Each descriptor is read once, as two numbers; only those are looked at afterwards, since the guest may rewrite its memory meanwhile.
 */
final class PackedWalker {
    private final DescriptorTable ring;
    private final DescriptorTable table;
    private final ChainChecks checks;

    PackedWalker(GuestMemory memory) {
        this.ring = new DescriptorTable(memory);
        this.table = new DescriptorTable(memory);
        this.checks = new ChainChecks(memory);
    }

    /** Returns the buffer id in the second half of a descriptor (virtio 1.2, 2.8.13). */
    private static int id(long rest) {
        return (int) (rest >>> 32) & 0xFFFF;
    }

    /** Returns the flags in the second half of a descriptor. */
    static int flags(long rest) {
        return (int) (rest >>> 48);
    }

    private static long length(long rest) {
        return rest & 0xFFFF_FFFFL;
    }

    /**
     * Fills a chain with the list that begins at a slot, or returns what is wrong with it.
     *
     * @param first second half of the first descriptor, which was looked at already
     * @param free how many slots may belong to the list, 1 or more
     * @throws io.github.jkvm.GuestMemoryException if memory was taken away since the queue was activated
     */
    @Nullable
    QueueFault walk(
            QueueLayout layout, boolean indirectAllowed, int slot, long first, int free, DescriptorChain chain) {
        // A fault names the list by its slot: the buffer id is known at its end only.
        chain.name(slot, 1);
        ring.open(layout.descriptors(), (long) QueueLayout.DESCRIPTOR_BYTES * layout.size());
        int at = slot;
        long rest = first;
        for (int count = 1; ; count++) {
            long address = ring.address(at);
            if ((flags(rest) & ChainChecks.INDIRECT) != 0) {
                return count == 1
                        ? walkTable(layout, indirectAllowed, address, rest, chain)
                        : ChainChecks.fault(
                                Reason.INDIRECT_IN_LIST, chain, "has an indirect descriptor after " + (count - 1));
            }
            QueueFault fault = checks.add(chain, address, length(rest), flags(rest));
            if (fault != null) {
                return fault;
            }
            if ((flags(rest) & ChainChecks.NEXT) == 0) {
                chain.name(id(rest), count);
                return null;
            }
            if (count == free) {
                return ChainChecks.fault(
                        Reason.CHAIN_TOO_LONG,
                        chain,
                        "goes on after the " + free + " descriptors that are not in flight");
            }
            at = at + 1 == layout.size() ? 0 : at + 1;
            rest = ring.rest(at);
        }
    }

    /** All descriptors of the table belong to the list; of their flags only one counts (virtio 1.2, 2.8.7). */
    private @Nullable QueueFault walkTable(
            QueueLayout layout, boolean indirectAllowed, long address, long rest, DescriptorChain chain) {
        QueueFault fault =
                checks.checkIndirect(chain, indirectAllowed, layout.size(), address, length(rest), flags(rest));
        if (fault != null) {
            return fault;
        }
        table.open(address, length(rest));
        int entries = (int) (length(rest) / QueueLayout.DESCRIPTOR_BYTES);
        for (int i = 0; fault == null && i < entries; i++) {
            long entryAddress = table.address(i);
            long entry = table.rest(i);
            fault = checks.add(chain, entryAddress, length(entry), flags(entry));
        }
        chain.name(id(rest), 1);
        return fault;
    }
}
