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
 * <p>Made with each vCPU after {@link KvmVm#enableDirtyRing}. Pages are reported for regions whose dirty tracking is on. A page is reported once;
 * it is reported again only after {@link KvmVm#resetDirtyRings()}. A full ring stops its vCPU with
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
     * @return how many entries of the ring are free for the kernel once the rings are reset
     * @throws IllegalStateException if the VM is closed
     */
    public synchronized int harvest(PageHandler handler) {
        int count = 0;
        while (count < entries) {
            long entry = (next & (entries - 1)) * ENTRY_SIZE;
            // What the kernel wrote before the flag is visible once the flag is; it takes the entry back only after
            // ours is set.
            if ((int) FLAGS_HANDLE.getAcquire(ring, entry + FLAGS) != KVM_DIRTY_GFN_F_DIRTY) {
                break;
            }
            handOver(handler, ring.get(JAVA_INT, entry + SLOT), ring.get(JAVA_LONG, entry + OFFSET));
            FLAGS_HANDLE.setRelease(ring, entry + FLAGS, KVM_DIRTY_GFN_F_RESET);
            next++;
            count++;
        }
        return count;
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
