package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.Capabilities.KVM_CAP_DIRTY_LOG_RING;
import static io.github.jkvm.kvm.layout.Capabilities.KVM_CAP_DIRTY_LOG_RING_ACQ_REL;
import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_DIRTY_GFN;

import io.github.jkvm.Capability;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.ffi.MappedMemory;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.RunNumbers;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** The rings of dirty pages of one VM's vCPUs, in place of its dirty logs. */
final class VmDirtyRings {
    private static final long PAGE_SIZE = 4096;

    private final OwnedFd vm;
    private final IntFunction<@Nullable MemoryRegion> regions;
    private final Map<Integer, DirtyRing> rings = new ConcurrentHashMap<>();
    private volatile long ringBytes;

    /** Lifetime of all rings; not made for VMs without, since closing it stops all threads for a moment. */
    private @Nullable Arena arena;

    /**
     * Creates it for a VM that has dirty logs.
     *
     * @param vm the VM's descriptor
     * @param regions gives the region of a memory slot, null if it is gone
     */
    VmDirtyRings(OwnedFd vm, IntFunction<@Nullable MemoryRegion> regions) {
        this.vm = vm;
        this.regions = regions;
    }

    /** Gives the vCPUs to come a ring each; see {@link KvmVm#enableDirtyRing}. */
    synchronized void enable(int entries) {
        StructCall.require(vm, Capability.DIRTY_RING, "enableDirtyRing(); use startDirtyTracking() alone");
        // The kernel answers with the greatest size of a ring in bytes.
        int limit = HostCapabilities.ask(vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL);
        int capability = limit > 0 ? KVM_CAP_DIRTY_LOG_RING_ACQ_REL : KVM_CAP_DIRTY_LOG_RING;
        limit = limit > 0 ? limit : HostCapabilities.ask(vm, KVM_CAP_DIRTY_LOG_RING);
        long bytes = entries * KVM_DIRTY_GFN.size();
        if (Integer.bitCount(entries) != 1 || entries < 0 || bytes < PAGE_SIZE || bytes > limit) {
            throw new IllegalArgumentException(
                    "a dirty ring of " + entries + " entries; it must be a power of two from "
                            + PAGE_SIZE / KVM_DIRTY_GFN.size() + " to " + limit / KVM_DIRTY_GFN.size());
        }
        try {
            VmCapability.enable(vm, capability, bytes);
        } catch (KvmException refused) {
            throw new KvmException(
                    refused.operation(),
                    "KVM_CAP_DIRTY_LOG_RING, " + entries + " entries",
                    refused.errno(),
                    "the VM has rings or a vCPU already, or the ring is smaller than what the processor logs by itself; enable it before"
                            + " createVCpu(), with 4096 entries or more");
        }
        arena = MappedMemory.openLifetime();
        ringBytes = bytes;
    }

    boolean enabled() {
        return ringBytes != 0;
    }

    /**
     * Opens the ring of a new vCPU, if the VM has rings. It can be read until the VM is closed, so that what a closed vCPU wrote is not lost.
     *
     * @param id its number
     * @param vcpu its descriptor
     */
    synchronized void open(int id, OwnedFd vcpu) {
        if (arena == null) {
            return;
        }
        int fd = vcpu.acquire();
        try {
            long offset = PAGE_SIZE * RunNumbers.KVM_DIRTY_LOG_PAGE_OFFSET;
            var ring = new DirtyRing(MappedMemory.map(arena, ringBytes, MappedMemory.MAP_SHARED, fd, offset), regions);
            rings.put(id, ring);
        } catch (MappedMemory.MapFailed e) {
            throw KvmException.of("mmap", "dirty ring of " + ringBytes + " bytes of " + vcpu, e.errno());
        } finally {
            vcpu.release();
        }
    }

    DirtyRing of(int id) {
        DirtyRing ring = rings.get(id);
        if (ring == null) {
            throw none();
        }
        return ring;
    }

    private static IllegalStateException none() {
        return new IllegalStateException("this VM has no dirty rings; call enableDirtyRing() before createVCpu()");
    }

    /** Harvests the rings of all vCPUs and gives their entries back to the kernel. */
    int collect(DirtyRing.PageHandler handler) {
        int count = 0;
        DirtyRingOverrunException overrun = null;
        for (DirtyRing ring : rings.values()) {
            try {
                count += ring.harvest(handler);
            } catch (DirtyRingOverrunException e) {
                overrun = e;
            }
        }
        reset();
        if (overrun != null) {
            throw overrun;
        }
        return count;
    }

    /** Gives the harvested entries of all rings back to the kernel, and has it report their pages anew. */
    int reset() {
        if (!enabled()) {
            throw none();
        }
        return vm.ioctl(VmIoctls.KVM_RESET_DIRTY_RINGS, 0);
    }

    /** Gives the rings' memory back; the VM does that. */
    synchronized void end() {
        if (arena != null) {
            arena.close();
            arena = null;
        }
    }
}
