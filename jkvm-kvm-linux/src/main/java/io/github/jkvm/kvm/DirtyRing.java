package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_DIRTY_GFN;
import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_DIRTY_GFN_F_DIRTY;
import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_DIRTY_GFN_F_RESET;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.github.jkvm.DirtyPages;
import io.github.jkvm.MemoryRegion;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The pages that one vCPU wrote, in the order in which it first wrote them (Linux, Documentation/virt/kvm/api.rst, KVM_CAP_DIRTY_LOG_RING).
 *
 * <p>Made with each vCPU after {@link KvmVm#enableDirtyRing}. Pages are reported for regions whose dirty tracking is on. A page is reported when it is first
 * written, and may be when it is written again; it is reported again for sure only after {@link KvmVm#resetDirtyRings()}. A full ring stops its vCPU with
 * {@link io.github.jkvm.VmExit.DirtyRingFull}: harvest, reset, and run on. Safe for use by many threads, also while the vCPU runs.
 */
public final class DirtyRing {
    private static final VarHandle FLAGS_HANDLE = JAVA_INT.varHandle().withInvokeExactBehavior();

    private static final long ENTRY_SIZE = KVM_DIRTY_GFN.size();
    private static final long FLAGS = KVM_DIRTY_GFN.offset("flags");
    private static final long SLOT = KVM_DIRTY_GFN.offset("slot");
    private static final long OFFSET = KVM_DIRTY_GFN.offset("offset");

    private final MemorySegment ring;
    private final int entries;
    private final IntFunction<@Nullable MemoryRegion> regions;

    /** Counts on for ever; the entry is the remainder. The kernel has a counter of its own that starts with this one. */
    private int next;

    private boolean overran;

    /** Takes the pages of a ring. */
    public interface PageHandler {
        /**
         * A page was written. The guest may be writing it still, without a new report, until the rings are reset: look at its contents after.
         *
         * @param region the region
         * @param offset the first byte of the page, relative to the region, a multiple of {@link DirtyPages#PAGE_SIZE}
         */
        void dirty(MemoryRegion region, long offset);
    }

    /**
     * Creates the reader of a ring.
     *
     * @param ring the ring's memory, as many entries as a power of two
     * @param regions gives the region of a memory slot, null if it is gone
     */
    DirtyRing(MemorySegment ring, IntFunction<@Nullable MemoryRegion> regions) {
        this.ring = ring;
        this.entries = (int) (ring.byteSize() / ENTRY_SIZE);
        this.regions = regions;
    }

    /**
     * Hands over the pages that were written since the last call. Allocates nothing. If the handler throws, its page is handed over
     * again by the next call.
     *
     * @param handler takes them
     * @return how many there were
     * @throws DirtyRingOverrunException if the kernel lost pages, after those that are left were handed over
     * @throws IllegalStateException if the VM is closed
     */
    public synchronized int harvest(PageHandler handler) {
        if (overran) {
            findKernel();
        }
        int count = 0;
        int flags = flags(next);
        while (flags == KVM_DIRTY_GFN_F_DIRTY && count < entries) {
            long entry = entry(next);
            handOver(handler, ring.get(JAVA_INT, entry + SLOT), ring.get(JAVA_LONG, entry + OFFSET));
            markHarvested(next);
            next++;
            count++;
            flags = flags(next);
        }
        if (flags == KVM_DIRTY_GFN_F_RESET) {
            // All entries are harvested and none is reset. The kernel keeps 64 or more free, so it has gone round past
            // us.
            overran = true;
            throw new DirtyRingOverrunException(
                    "this host's KVM wrote more pages than its ring of " + entries
                            + " entries holds; take every page for written, and use larger rings or, without rings, takeDirtyPages()");
        }
        return count;
    }

    /** After an overrun the kernel goes on writing further on than we read: gives it all entries up to there. */
    private void findKernel() {
        for (int ahead = 0; ahead < entries; ahead++) {
            if (flags(next + ahead) == KVM_DIRTY_GFN_F_DIRTY) {
                for (int i = 0; i < ahead; i++) {
                    markHarvested(next + i);
                }
                next += ahead;
                overran = false;
                return;
            }
        }
    }

    private long entry(int index) {
        return (index & (entries - 1)) * ENTRY_SIZE;
    }

    /** What the kernel wrote before the flag is visible once the flag is. */
    private int flags(int index) {
        return (int) FLAGS_HANDLE.getAcquire(ring, entry(index) + FLAGS);
    }

    /** The kernel takes the entry back at the next reset. */
    private void markHarvested(int index) {
        FLAGS_HANDLE.setRelease(ring, entry(index) + FLAGS, KVM_DIRTY_GFN_F_RESET);
    }

    private void handOver(PageHandler handler, int slot, long page) {
        MemoryRegion region = regions.apply(slot);
        // A region may have been removed since its page was written.
        if (region != null && page >= 0 && page < region.size() / DirtyPages.PAGE_SIZE) {
            handler.dirty(region, page * DirtyPages.PAGE_SIZE);
        }
    }

    /**
     * Returns how many pages the ring can hold; the vCPU is stopped somewhat earlier.
     *
     * @return the number of entries, a power of two
     */
    public int capacity() {
        return entries;
    }
}
