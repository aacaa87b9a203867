package io.github.jkvm.kvm;

import io.github.jkvm.DirtyPages;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Ioctl;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.MemoryStructs;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.IdentityHashMap;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The memory of one VM: its regions, each in a slot of KVM's, and the record of pages the guest writes. */
final class MemorySlots {
    private final OwnedFd vm;
    private final GuestMemory memory = new GuestMemory();
    private final int limit;
    private final long pageSize;
    private final DirtyLog dirtyLog;
    private final BitSet taken = new BitSet();
    private final IdentityHashMap<MemoryRegion, Slot> slots = new IdentityHashMap<>();
    private volatile @Nullable MemoryRegion[] byNumber = {};

    /** What was removed from the guest while a call used it for longer than removal waits. */
    private final List<HostMemory> lingering = new ArrayList<>();

    private boolean closed;

    private static final class Slot {
        final int number;
        final HostMemory host;
        final @Nullable GuestOnly guestOnly;
        boolean logged;

        Slot(int number, HostMemory host, @Nullable GuestOnly guestOnly) {
            this.number = number;
            this.host = host;
            this.guestOnly = guestOnly;
        }
    }

    /**
     * Where a region's private pages come from.
     *
     * @param memfd the memory
     * @param offset where in it the region begins, in bytes
     */
    record GuestOnly(GuestMemfd memfd, long offset) {}

    /**
     * Creates the memory of a VM, with no regions.
     *
     * @param vm the VM
     * @param limit how many regions the host allows
     * @param pageSize the host's page size in bytes
     */
    MemorySlots(OwnedFd vm, int limit, long pageSize) {
        this.vm = vm;
        this.limit = limit;
        this.pageSize = pageSize;
        this.dirtyLog = new DirtyLog(vm, pageSize);
    }

    GuestMemory memory() {
        return memory;
    }

    MemoryRegion add(
            GuestAddress base, MemoryBacking backing, MemoryRegion.Access access, @Nullable GuestOnly guestOnly) {
        checkAligned("guest-physical address", base.value(), base.toString());
        checkAligned("size", backing.size(), Long.toString(backing.size()));
        if (backing instanceof MemoryBacking.File file) {
            checkAligned("file offset", file.offset(), Long.toString(file.offset()));
        }
        synchronized (this) {
            checkOpen();
            memory.checkFree(base, backing.size());
            int number = taken.nextClearBit(0);
            if (number >= limit) {
                throw new HypervisorException("the host allows " + limit
                        + " memory regions in a VM and all are in use; remove one or make fewer, larger ones");
            }
            HostMemory host = HostMemory.of(backing);
            try {
                MemoryRegion region = MemoryRegion.of(base, host.segment(), access, host.pages());
                Slot slot = new Slot(number, host, guestOnly);
                set(region, slot, region.size());
                // Can't fail: regions are added under this object's lock only, and the place is free.
                memory.add(region);
                taken.set(number);
                slots.put(region, slot);
                setRegion(number, region);
                return region;
            } catch (RuntimeException | Error failure) {
                host.closeQuietly();
                throw failure;
            }
        }
    }

    void remove(MemoryRegion region) {
        Slot slot;
        synchronized (this) {
            checkOpen();
            slot = slotOf(region);
            set(region, slot, 0);
            memory.remove(region);
            slots.remove(region);
            setRegion(slot.number, null);
            taken.clear(slot.number);
        }
        // Not under the lock: it may wait for calls of others.
        try {
            slot.host.close();
        } catch (HypervisorException stillInUse) {
            synchronized (this) {
                lingering.add(slot.host);
            }
            throw stillInUse;
        }
    }

    synchronized void startDirtyTracking(MemoryRegion region) {
        checkOpen();
        Slot slot = slotOf(region);
        if (slot.guestOnly != null) {
            throw new HypervisorException(
                    "KVM can't record what is written to " + region + ", which has a guest memfd; use memory without");
        }
        if (!slot.logged) {
            dirtyLog.prepare();
            slot.logged = true;
            try {
                set(region, slot, region.size());
            } catch (RuntimeException failure) {
                slot.logged = false;
                throw failure;
            }
        }
        region.startHostDirtyTracking();
    }

    synchronized void stopDirtyTracking(MemoryRegion region) {
        checkOpen();
        Slot slot = slotOf(region);
        if (slot.logged) {
            slot.logged = false;
            set(region, slot, region.size());
        }
        region.stopHostDirtyTracking();
    }

    synchronized DirtyPages takeDirtyPages(MemoryRegion region) {
        checkOpen();
        Slot slot = checkLogged(region);
        return dirtyLog.take(slot.number, region.size()).union(region.takeHostDirtyPages());
    }

    /** Returns the pages of a region that were recorded in it: the host's writes, and the guest's where these come from rings. */
    synchronized DirtyPages takeHostDirtyPages(MemoryRegion region) {
        checkOpen();
        checkLogged(region);
        return region.takeHostDirtyPages();
    }

    /** Returns the region in a slot, or null if it is free. Costs no lock, since a ring of dirty pages asks for every page. */
    @Nullable
    MemoryRegion region(int number) {
        @Nullable MemoryRegion[] now = byNumber;
        return number >= 0 && number < now.length ? now[number] : null;
    }

    private void setRegion(int number, @Nullable MemoryRegion region) {
        @Nullable MemoryRegion[] next = Arrays.copyOf(byNumber, Math.max(byNumber.length, number + 1));
        next[number] = region;
        byNumber = next;
    }

    /** Returns the number of a region's slot, by which KVM's dirty ring names it. */
    synchronized int number(MemoryRegion region) {
        checkOpen();
        return slotOf(region).number;
    }

    /** Gives all memory back. The VM's descriptor is closed already: with it KVM has let go of the memory. */
    void close() {
        List<HostMemory> last;
        synchronized (this) {
            closed = true;
            last = new ArrayList<>(lingering);
            slots.values().forEach(slot -> last.add(slot.host));
            slots.clear();
            lingering.clear();
        }
        last.forEach(HostMemory::closeQuietly);
    }

    private void set(MemoryRegion region, Slot slot, long size) {
        GuestOnly guestOnly = slot.guestOnly;
        long flags = (slot.logged ? MemoryStructs.KVM_MEM_LOG_DIRTY_PAGES : 0)
                | (region.access() == MemoryRegion.Access.READ_ONLY ? MemoryStructs.KVM_MEM_READONLY : 0)
                | (guestOnly == null ? 0 : MemoryStructs.KVM_MEM_GUEST_MEMFD);
        // The second form begins as the first does; kernels before 6.8 have the first only.
        Ioctl request = guestOnly == null ? VmIoctls.KVM_SET_USER_MEMORY_REGION : VmIoctls.KVM_SET_USER_MEMORY_REGION2;
        try (Arena temporary = Arena.ofConfined()) {
            var layout = MemoryStructs.KVM_USERSPACE_MEMORY_REGION2;
            MemorySegment arg = layout.allocate(temporary);
            arg.set(ValueLayout.JAVA_INT, layout.offset("slot"), slot.number);
            arg.set(ValueLayout.JAVA_INT, layout.offset("flags"), (int) flags);
            arg.set(
                    ValueLayout.JAVA_LONG,
                    layout.offset("guest_phys_addr"),
                    region.base().value());
            arg.set(ValueLayout.JAVA_LONG, layout.offset("memory_size"), size);
            arg.set(
                    ValueLayout.JAVA_LONG,
                    layout.offset("userspace_addr"),
                    slot.host.segment().address());
            int result;
            if (guestOnly == null) {
                result = vm.tryIoctl(request, arg);
            } else {
                OwnedFd memfd = guestOnly.memfd.fd();
                arg.set(ValueLayout.JAVA_LONG, layout.offset("guest_memfd_offset"), guestOnly.offset);
                // A region that is taken away does not name its memfd, which may be closed by then.
                arg.set(ValueLayout.JAVA_INT, layout.offset("guest_memfd"), size == 0 ? -1 : memfd.acquire());
                try {
                    result = vm.tryIoctl(request, arg);
                } finally {
                    if (size != 0) {
                        memfd.release();
                    }
                }
            }
            if (result < 0) {
                throw new KvmException(
                        request.name(),
                        region + ", slot " + slot.number,
                        -result,
                        -result == Errno.EINVAL
                                ? "the host can't place memory there, or the region has more than 2^31-1 pages"
                                : "the host can't give the guest this memory");
            }
        }
    }

    private void checkAligned(String what, long value, String text) {
        if (Long.remainderUnsigned(value, pageSize) != 0) {
            throw new IllegalArgumentException(
                    "memory " + what + " " + text + " must be a multiple of the page size " + pageSize);
        }
    }

    private Slot checkLogged(MemoryRegion region) {
        Slot slot = slotOf(region);
        if (!slot.logged) {
            throw new IllegalStateException("dirty tracking is off for " + region + "; start it first");
        }
        return slot;
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("VM is closed");
        }
    }

    private Slot slotOf(MemoryRegion region) {
        Slot slot = slots.get(region);
        if (slot == null) {
            throw new IllegalArgumentException(region + " is not memory of this VM, or was removed");
        }
        return slot;
    }
}
