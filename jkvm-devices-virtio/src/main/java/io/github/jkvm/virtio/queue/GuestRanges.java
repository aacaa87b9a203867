package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;

/** What a guest may do with a range of its memory. */
final class GuestRanges {
    private GuestRanges() {}

    /**
     * Tells whether the guest may write every byte of a range. A device writes for the guest, so it may not write what the guest
     * may not: such a region may be shared with other guests.
     *
     * @throws io.github.jkvm.GuestMemoryException if some of the range is not memory
     */
    static boolean isWritable(GuestMemory memory, long address, long length) {
        long done = 0;
        while (done < length) {
            MemoryRegion region = memory.region(address + done, 1);
            if (region.access() != MemoryRegion.Access.READ_WRITE) {
                return false;
            }
            done += Math.min(
                    length - done,
                    region.size() - (address + done - region.base().value()));
        }
        return true;
    }
}
