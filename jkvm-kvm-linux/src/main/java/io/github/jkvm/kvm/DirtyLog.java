package io.github.jkvm.kvm;

import io.github.jkvm.DirtyPages;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.Capabilities;
import io.github.jkvm.kvm.layout.MemoryStructs;
import io.github.jkvm.kvm.layout.SystemIoctls;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * KVM's bitmap of pages that the guest has written.
 *
 * <p>Where the host can, the bitmap is read and the pages are write-protected again by two calls ({@code KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2}): only
 * those that were dirty pay for it.
 */
final class DirtyLog {
    private final OwnedFd vm;
    private final long pageSize;
    private Protection protection = Protection.NOT_ASKED;

    private enum Protection {
        NOT_ASKED,
        BY_READING,
        BY_CLEARING
    }

    DirtyLog(OwnedFd vm, long pageSize) {
        this.vm = vm;
        this.pageSize = pageSize;
    }

    /** To be called before a slot is first logged. */
    void prepare() {
        if (protection != Protection.NOT_ASKED) {
            return;
        }
        int offered = vm.tryIoctl(SystemIoctls.KVM_CHECK_EXTENSION, Capabilities.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
        if (offered > 0 && (offered & MemoryStructs.KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) != 0) {
            VmCapability.enable(
                    vm,
                    Capabilities.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
                    MemoryStructs.KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
            protection = Protection.BY_CLEARING;
        } else {
            protection = Protection.BY_READING;
        }
    }

    /** Returns the pages of a slot written since the last call, and begins anew. */
    DirtyPages take(int slot, long size) {
        long pages = size / pageSize;
        long bytes = Math.ceilDiv(pages, Long.SIZE) * Long.BYTES;
        try (Arena temporary = Arena.ofConfined()) {
            MemorySegment bitmap = temporary.allocate(bytes, Long.BYTES);
            MemorySegment get = MemoryStructs.KVM_DIRTY_LOG.allocate(temporary);
            get.set(ValueLayout.JAVA_INT, MemoryStructs.KVM_DIRTY_LOG.offset("slot"), slot);
            get.set(ValueLayout.JAVA_LONG, MemoryStructs.KVM_DIRTY_LOG.offset("dirty_bitmap"), bitmap.address());
            int result = vm.tryIoctl(VmIoctls.KVM_GET_DIRTY_LOG, get);
            if (result < 0) {
                throw new KvmException(
                        VmIoctls.KVM_GET_DIRTY_LOG.name(),
                        "slot " + slot,
                        -result,
                        -result == Errno.ENXIO
                                ? "this VM reports dirty pages through its dirty ring; collect them there"
                                : "the host keeps no record for this memory");
            }
            if (protection == Protection.BY_CLEARING) {
                clear(temporary, slot, pages, bitmap);
            }
            return DirtyPages.ofBits(perPage(bitmap.toArray(ValueLayout.JAVA_LONG)));
        }
    }

    private void clear(Arena temporary, int slot, long pages, MemorySegment bitmap) {
        MemorySegment clear = MemoryStructs.KVM_CLEAR_DIRTY_LOG.allocate(temporary);
        clear.set(ValueLayout.JAVA_INT, MemoryStructs.KVM_CLEAR_DIRTY_LOG.offset("slot"), slot);
        clear.set(ValueLayout.JAVA_INT, MemoryStructs.KVM_CLEAR_DIRTY_LOG.offset("num_pages"), (int) pages);
        clear.set(ValueLayout.JAVA_LONG, MemoryStructs.KVM_CLEAR_DIRTY_LOG.offset("first_page"), 0);
        clear.set(ValueLayout.JAVA_LONG, MemoryStructs.KVM_CLEAR_DIRTY_LOG.offset("dirty_bitmap"), bitmap.address());
        vm.ioctl(VmIoctls.KVM_CLEAR_DIRTY_LOG, clear);
    }

    /** The host's pages may be larger than those that {@link DirtyPages} counts (64 KiB on some Arm hosts). */
    private long[] perPage(long[] hostPages) {
        int factor = (int) (pageSize / DirtyPages.PAGE_SIZE);
        if (factor == 1) {
            return hostPages;
        }
        long[] small = new long[Math.multiplyExact(hostPages.length, factor)];
        for (int i = 0; i < small.length * Long.SIZE; i++) {
            int host = i / factor;
            if ((hostPages[host / Long.SIZE] & 1L << host) != 0) {
                small[i / Long.SIZE] |= 1L << i;
            }
        }
        return small;
    }
}
