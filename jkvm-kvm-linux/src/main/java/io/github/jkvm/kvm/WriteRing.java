package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_COALESCED_MMIO;
import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_COALESCED_MMIO_RING;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.github.jkvm.ExitHandler;
import io.github.jkvm.HypervisorException;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/** The memory of {@code struct kvm_coalesced_mmio_ring}: the kernel moves {@code last} when it adds, the reader moves {@code first}. */
final class WriteRing {
    /** The kernel's page, whatever the host uses for its own. */
    static final long SIZE = 4096;

    private static final VarHandle INDEX = JAVA_INT.varHandle().withInvokeExactBehavior();

    private static final long FIRST = KVM_COALESCED_MMIO_RING.offset("first");
    private static final long LAST = KVM_COALESCED_MMIO_RING.offset("last");
    private static final long ENTRIES = KVM_COALESCED_MMIO_RING.offset("coalesced_mmio");
    private static final long ENTRY_SIZE = KVM_COALESCED_MMIO.size();
    private static final long ENTRY_ADDRESS = KVM_COALESCED_MMIO.offset("phys_addr");
    private static final long ENTRY_LENGTH = KVM_COALESCED_MMIO.offset("len");
    private static final long ENTRY_PIO = KVM_COALESCED_MMIO.offset("pio");
    private static final long ENTRY_DATA = KVM_COALESCED_MMIO.offset("data");

    /** {@code KVM_COALESCED_MMIO_MAX}: as many entries as fit the page; the kernel leaves one of them free. */
    static final int CAPACITY = (int) ((SIZE - ENTRIES) / ENTRY_SIZE);

    private final MemorySegment ring;
    private boolean draining;

    WriteRing(MemorySegment ring) {
        this.ring = ring;
    }

    /** Hands over what is in the ring and takes it out; see {@link CoalescedMmioRing#drain}. One thread at a time. */
    int drain(ExitHandler handler) {
        if (draining) {
            throw new IllegalStateException("the ring of coalesced writes is drained by its own handler");
        }
        draining = true;
        try {
            // What comes while this goes on is left for the next call, so that a busy guest can't hold the caller here.
            int last = index((int) INDEX.getAcquire(ring, LAST));
            int next = index((int) INDEX.getOpaque(ring, FIRST));
            int count = 0;
            while (next != last) {
                long entry = ENTRIES + next * ENTRY_SIZE;
                long address = ring.get(JAVA_LONG, entry + ENTRY_ADDRESS);
                int length = ring.get(JAVA_INT, entry + ENTRY_LENGTH);
                boolean port = ring.get(JAVA_INT, entry + ENTRY_PIO) == 1;
                long data = ring.get(JAVA_LONG, entry + ENTRY_DATA);
                next = (next + 1) % CAPACITY;
                INDEX.setRelease(ring, FIRST, next);
                count++;
                handOver(handler, port, address, length, data);
            }
            return count;
        } finally {
            draining = false;
        }
    }

    private static void handOver(ExitHandler handler, boolean port, long address, int length, long data) {
        if (length < 1 || length > Long.BYTES) {
            throw new HypervisorException("the ring of coalesced writes has a write of " + length + " bytes at 0x"
                    + Long.toHexString(address) + "; 1 to 8 are possible");
        }
        long value = length == Long.BYTES ? data : data & ~(-1L << (length * Byte.SIZE));
        if (port) {
            handler.portOut((int) address, length, value);
        } else {
            handler.mmioWrite(address, length, value);
        }
    }

    private static int index(int index) {
        if (index < 0 || index >= CAPACITY) {
            throw new HypervisorException(
                    "the ring of coalesced writes has index " + index + "; it must be 0 to " + (CAPACITY - 1));
        }
        return index;
    }
}
