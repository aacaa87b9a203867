package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.virtio.queue.QueueFault.Reason;
import org.jspecify.annotations.Nullable;

/**
 * Follows a chain through the descriptor table of a split queue and at most one indirect table.
 *
 * <p>Each descriptor is read once, as two numbers; only those are looked at afterwards, since the guest may rewrite its memory meanwhile.
 */
final class SplitWalker {
    private final DescriptorTable table;
    private final ChainChecks checks;

    SplitWalker(GuestMemory memory) {
        this.table = new DescriptorTable(memory);
        this.checks = new ChainChecks(memory);
    }

    /**
     * Fills a chain with what hangs on a head, or returns what is wrong with it.
     *
     * @throws io.github.jkvm.GuestMemoryException if memory was taken away since the queue was activated
     */
    @Nullable
    QueueFault walk(QueueLayout layout, boolean indirectAllowed, int head, DescriptorChain chain) {
        chain.name(head, 1);
        int entries = layout.size();
        table.open(layout.descriptors(), (long) QueueLayout.DESCRIPTOR_BYTES * entries);
        int index = head;
        int buffers = 0;
        boolean inIndirectTable = false;
        while (true) {
            if (index >= entries) {
                return ChainChecks.fault(
                        Reason.DESCRIPTOR_INDEX, chain, "has index " + index + "; the table has " + entries);
            }
            long address = table.address(index);
            long rest = table.rest(index);
            long length = rest & 0xFFFF_FFFFL;
            int flags = (int) (rest >>> 32) & 0xFFFF;
            if ((flags & ChainChecks.INDIRECT) != 0) {
                if (inIndirectTable) {
                    return ChainChecks.fault(
                            Reason.INDIRECT_NESTED, chain, "has an indirect descriptor in an indirect table");
                }
                QueueFault fault = checks.checkIndirect(chain, indirectAllowed, layout.size(), address, length, flags);
                if (fault != null) {
                    return fault;
                }
                inIndirectTable = true;
                table.open(address, length);
                entries = (int) (length / QueueLayout.DESCRIPTOR_BYTES);
                index = 0;
                continue;
            }
            // A loop ends here too.
            if (++buffers > layout.size()) {
                return ChainChecks.fault(
                        Reason.CHAIN_TOO_LONG, chain, "has more than " + layout.size() + " descriptors, or a loop");
            }
            QueueFault fault = checks.add(chain, address, length, flags);
            if (fault != null || (flags & ChainChecks.NEXT) == 0) {
                return fault;
            }
            index = (int) (rest >>> 48);
        }
    }
}
