package io.github.jkvm.virtio.balloon;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.HostPages.Remains;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.ChainWriter;
import java.util.Arrays;

/** Gives pages that the guest does not need back to the host, in as few calls as possible. What the guest names is checked. */
final class PageReturn {
    /** Pages of the balloon are of 4 KiB whatever the guest's are (virtio 1.2, 5.5.6). */
    static final int PAGE_SHIFT = 12;

    static final long PAGE = 1L << PAGE_SHIFT;

    /** Pages looked at of one chain. Linux sends 256; what is more than this stays the guest's. */
    private static final int MOST_PAGES = 16_384;

    private static final int BATCH = 1024;

    private final long[] batch = new long[BATCH];
    private final Counter rejected;
    private final Counter calls;
    private final Counter bytes;

    PageReturn(Counter rejected, Counter calls, Counter bytes) {
        this.rejected = rejected;
        this.calls = calls;
        this.bytes = bytes;
    }

    /**
     * Gives back the pages whose numbers are in a chain.
     *
     * @return how many pages were looked at
     */
    long pages(GuestMemory memory, ChainReader numbers) {
        int looked = 0;
        while (looked < MOST_PAGES && numbers.has(Integer.BYTES)) {
            int count = 0;
            while (count < BATCH && numbers.has(Integer.BYTES)) {
                batch[count++] = Integer.toUnsignedLong(numbers.nextInt());
            }
            looked += count;
            // Neighbours are seldom named one after the other.
            Arrays.sort(batch, 0, count);
            runs(memory, count);
        }
        rejected.add(numbers.remaining() / Integer.BYTES);
        return looked;
    }

    private void runs(GuestMemory memory, int count) {
        for (int i = 0; i < count; ) {
            long first = batch[i];
            long last = first;
            for (i++; i < count && batch[i] <= last + 1; i++) {
                last = batch[i];
            }
            range(memory, first << PAGE_SHIFT, (last - first + 1) << PAGE_SHIFT, Remains.FILE_CONTENTS);
        }
    }

    /**
     * Gives back the memory that a chain is made of.
     *
     * @param worst what may be in the pages when the guest finds them again: {@link Remains#ZEROS} allows nothing else
     * @return how many pages were looked at
     */
    long buffers(GuestMemory memory, ChainWriter buffers, Remains worst) {
        long looked = 0;
        for (long length; (length = buffers.contiguous()) > 0; ) {
            range(memory, buffers.address(), length, worst);
            buffers.advance(length);
            looked += 1 + (length >>> PAGE_SHIFT);
        }
        return looked;
    }

    private void range(GuestMemory memory, long address, long length, Remains worst) {
        for (long done = 0; done < length; ) {
            long at = address + done;
            if (!memory.contains(at, 1)) {
                rejected.increment();
                done += PAGE;
                continue;
            }
            MemoryRegion region = memory.region(at, 1);
            long offset = at - region.base().value();
            long count = Math.min(length - done, region.size() - offset);
            done += count;
            if (region.access() != MemoryRegion.Access.READ_WRITE) {
                // The guest can't write there either.
                rejected.add((count + PAGE - 1) >>> PAGE_SHIFT);
            } else if (worst == Remains.FILE_CONTENTS || region.remains() == Remains.ZEROS) {
                calls.increment();
                bytes.add(region.discard(offset, count));
            }
        }
    }
}
