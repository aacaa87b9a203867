package io.github.jkvm.kvm;

import io.github.jkvm.Capability;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The file in which the kernel shows the statistics of a VM or vCPU. */
final class StatsFile {
    private StatsFile() {}

    /**
     * Reads the statistics of a VM or vCPU. The file is opened and closed again, since it would keep the VM alive in the kernel.
     *
     * @param vm the VM, asked whether there are statistics
     * @param owner the VM or vCPU they are about
     * @return the statistics
     */
    static KvmStats read(OwnedFd vm, OwnedFd owner) {
        StructCall.require(vm, Capability.BINARY_STATS, "statistics; Linux 5.14 has them");
        int fd = owner.ioctl(VCpuIoctls.KVM_GET_STATS_FD, 0);
        try (var file = new OwnedFd(fd, "statistics")) {
            return KvmStats.read((offset, length) -> bytes(file, offset, length));
        }
    }

    private static byte[] bytes(OwnedFd file, long offset, int length) {
        if (length == 0) {
            return new byte[0];
        }
        int fd = file.acquire();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(length);
            long count = Libc.pread(fd, buffer, length, offset);
            if (count < 0) {
                throw KvmException.of("pread", length + " bytes at " + offset + " of statistics", (int) -count);
            }
            if (count != length) {
                throw new HypervisorException(
                        "the kernel's statistics end after " + count + " bytes of " + length + " at offset " + offset);
            }
            return buffer.toArray(ValueLayout.JAVA_BYTE);
        } finally {
            file.release();
        }
    }
}
