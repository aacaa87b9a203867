package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.Capabilities.KVM_CAP_COALESCED_MMIO;
import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_COALESCED_MMIO_ZONE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.github.jkvm.Capability;
import io.github.jkvm.Doorbell;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Ioctl;
import io.github.jkvm.kvm.ffi.MappedMemory;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Writes of the guest that need no answer, gathered by the kernel in a ring instead of leaving the guest one by one (Linux,
 * Documentation/virt/kvm/api.rst, KVM_REGISTER_COALESCED_MMIO).
 *
 * <p>A write to a {@link Zone} goes to the ring and the guest runs on; {@link #drain} hands over what has gathered, in the order of writing. A
 * full ring makes the next write an ordinary exit. So a device sees its accesses in order only if the ring is drained before each
 * exit is handled: {@link #inOrder} does that. One ring serves all vCPUs of the VM. Safe for use by many threads.
 */
public final class CoalescedMmioRing {
    private static final long ZONE_ADDRESS = KVM_COALESCED_MMIO_ZONE.offset("addr");
    private static final long ZONE_SIZE = KVM_COALESCED_MMIO_ZONE.offset("size");
    private static final long ZONE_PIO = KVM_COALESCED_MMIO_ZONE.offset("pio");

    private final OwnedFd vm;
    private final Supplier<@Nullable OwnedFd> anyVCpu;
    private final OpenChildren<Zone> zones = new OpenChildren<>();
    private @Nullable WriteRing ring;

    /** Lifetime of the ring; not made before it is used, since closing it stops all threads for a moment. */
    private @Nullable Arena arena;

    /**
     * Creates the ring of a VM.
     *
     * @param vm the VM's descriptor, which stays the caller's and is closed after this
     * @param anyVCpu gives the descriptor of any vCPU, through which the kernel shows the ring, or null if there is none
     */
    CoalescedMmioRing(OwnedFd vm, Supplier<@Nullable OwnedFd> anyVCpu) {
        this.vm = vm;
        this.anyVCpu = anyVCpu;
    }

    /** A range whose writes are gathered. */
    public final class Zone implements AutoCloseable {
        private final Doorbell.Space space;
        private final long address;
        private final long size;
        private boolean closed;

        private Zone(Doorbell.Space space, long address, long size) {
            this.space = space;
            this.address = address;
            this.size = size;
        }

        /**
         * Lets writes to the range leave the guest again. What has gathered stays in the ring. Closing twice does nothing.
         *
         * @throws KvmException if the kernel refuses
         */
        @Override
        public void close() {
            synchronized (this) {
                if (closed) {
                    return;
                }
                closed = true;
            }
            zones.remove(this);
            int result;
            try {
                result = request(VmIoctls.KVM_UNREGISTER_COALESCED_MMIO, this);
            } catch (IllegalStateException vmIsClosed) {
                return; // and took its zones with it
            }
            if (result < 0) {
                throw KvmException.of(VmIoctls.KVM_UNREGISTER_COALESCED_MMIO.name(), toString(), -result);
            }
        }

        private boolean overlaps(Zone other) {
            return space == other.space
                    && Long.compareUnsigned(address, other.address + other.size - 1) <= 0
                    && Long.compareUnsigned(other.address, address + size - 1) <= 0;
        }

        /** Returns what it covers. */
        @Override
        public String toString() {
            return "coalesced " + (space == Doorbell.Space.PORT ? "ports" : "MMIO") + " 0x" + Long.toHexString(address)
                    + "..0x" + Long.toHexString(address + size - 1);
        }
    }

    /**
     * Gathers the writes to a range of memory addresses.
     *
     * @param base the first address
     * @param size how many bytes, 1 to 2^32-1
     * @return the zone, closed with the VM
     * @throws IllegalArgumentException if the size is out of range, the range passes the end of the address space, or overlaps another zone
     * @throws IllegalStateException if the VM is closed
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host lacks {@link Capability#COALESCED_MMIO}
     * @throws KvmException if the kernel refuses
     */
    public Zone addMmio(GuestAddress base, long size) {
        if (size < 1 || size > 0xFFFF_FFFFL || Long.compareUnsigned(base.value() + size - 1, base.value()) < 0) {
            throw new IllegalArgumentException("coalesced MMIO of " + size + " bytes at " + base
                    + ": the size must be 1 to 0xffffffff and the range must end below 2^64");
        }
        StructCall.require(vm, Capability.COALESCED_MMIO, "addMmio(); handle each write");
        return add(new Zone(Doorbell.Space.MMIO, base.value(), size));
    }

    /**
     * Gathers the writes to a range of ports.
     *
     * @param first the first port, 0 to 0xffff
     * @param count how many, 1 or more
     * @return the zone, closed with the VM
     * @throws IllegalArgumentException if there are no such ports, or the range overlaps another zone
     * @throws IllegalStateException if the VM is closed
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host lacks {@link Capability#COALESCED_PIO}
     * @throws KvmException if the kernel refuses
     */
    public Zone addPorts(int first, int count) {
        if (first < 0 || count < 1 || count > 0x1_0000 - first) {
            throw new IllegalArgumentException("coalesced ports: " + count + " from 0x" + Integer.toHexString(first)
                    + "; ports are 0 to 0xffff and the count must be 1 or more");
        }
        StructCall.require(vm, Capability.COALESCED_PIO, "addPorts(); handle each write");
        return add(new Zone(Doorbell.Space.PORT, first, count));
    }

    private Zone add(Zone zone) {
        return zones.add(() -> {
            // Taking a zone off also takes off all that lie inside it, so they must not overlap.
            zones.forEach(other -> {
                if (zone.overlaps(other)) {
                    throw new IllegalArgumentException(zone + " overlaps " + other);
                }
            });
            int result = request(VmIoctls.KVM_REGISTER_COALESCED_MMIO, zone);
            if (result < 0) {
                throw new KvmException(
                        VmIoctls.KVM_REGISTER_COALESCED_MMIO.name(),
                        zone.toString(),
                        -result,
                        -result == Errno.ENOSPC
                                ? "the VM has too many zones and in-kernel devices; close some"
                                : "the kernel refuses it; see Documentation/virt/kvm/api.rst of Linux");
            }
            return zone;
        });
    }

    private int request(Ioctl ioctl, Zone zone) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment request = KVM_COALESCED_MMIO_ZONE.allocate(call);
            request.set(JAVA_LONG, ZONE_ADDRESS, zone.address);
            request.set(JAVA_INT, ZONE_SIZE, (int) zone.size);
            request.set(JAVA_INT, ZONE_PIO, zone.space == Doorbell.Space.PORT ? 1 : 0);
            return vm.tryIoctl(ioctl, request);
        }
    }

    /**
     * Hands over the writes that have gathered, the earliest first, and takes them out of the ring. Allocates nothing. A write whose handler
     * throws counts as handed over.
     *
     * @param handler takes them, through {@link ExitHandler#mmioWrite} and {@link ExitHandler#portOut}; must not drain this ring itself
     * @return how many there were
     * @throws IllegalStateException if the VM is closed, or the handler drains
     */
    public synchronized int drain(ExitHandler handler) {
        WriteRing opened = opened();
        return opened == null ? 0 : opened.drain(handler); // without a vCPU nothing was written
    }

    private @Nullable WriteRing opened() {
        WriteRing opened = ring;
        if (opened == null) {
            OwnedFd vcpu = anyVCpu.get();
            if (vcpu != null) {
                long offset = WriteRing.SIZE * HostCapabilities.ask(vm, KVM_CAP_COALESCED_MMIO);
                ring = opened = new WriteRing(map(vcpu, offset));
            }
        }
        return opened;
    }

    private MemorySegment map(OwnedFd vcpu, long offset) {
        int fd = vcpu.acquire();
        Arena lifetime = arena == null ? MappedMemory.openLifetime() : arena;
        arena = lifetime;
        try {
            return MappedMemory.map(lifetime, WriteRing.SIZE, MappedMemory.MAP_SHARED, fd, offset);
        } catch (MappedMemory.MapFailed e) {
            throw KvmException.of("mmap", "ring of coalesced writes, offset " + offset + " of " + vcpu, e.errno());
        } finally {
            vcpu.release();
        }
    }

    /**
     * Wraps a handler so that it sees every access in the order the guest made them: the ring is drained into it before each exit.
     *
     * @param handler what serves the accesses
     * @return the handler to run a vCPU with, which allocates nothing of its own
     */
    public ExitHandler inOrder(ExitHandler handler) {
        return new ExitHandler() {
            @Override
            public long portIn(int port, int size) {
                drain(handler);
                return handler.portIn(port, size);
            }

            @Override
            public void portOut(int port, int size, long value) {
                drain(handler);
                handler.portOut(port, size, value);
            }

            @Override
            public long mmioRead(long address, int size) {
                drain(handler);
                return handler.mmioRead(address, size);
            }

            @Override
            public void mmioWrite(long address, int size, long value) {
                drain(handler);
                handler.mmioWrite(address, size, value);
            }
        };
    }

    /** Closes every zone and gives the ring back; the VM does that. */
    void end() {
        zones.close();
        synchronized (this) {
            if (arena != null && arena.scope().isAlive()) {
                arena.close();
            }
        }
    }
}
