package io.github.jkvm.kvm;

import io.github.jkvm.Bytes;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Ioctl;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.DeviceStructs;
import io.github.jkvm.kvm.layout.MemoryStructs;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;

/** Encrypted memory of AMD processors (Linux, Documentation/virt/kvm/x86/amd-memory-encryption.rst). */
final class MemoryEncryption {
    private static final String FIRMWARE = "/dev/sev";

    /** Larger than any structure of a command, so that what the kernel writes back stays within. */
    private static final int MOST_DATA = 4096;

    private static final long ID = DeviceStructs.KVM_SEV_CMD.offset("id");
    private static final long DATA = DeviceStructs.KVM_SEV_CMD.offset("data");
    private static final long ERROR = DeviceStructs.KVM_SEV_CMD.offset("error");
    private static final long SEV_FD = DeviceStructs.KVM_SEV_CMD.offset("sev_fd");
    private static final long ADDRESS = MemoryStructs.KVM_ENC_REGION.offset("addr");
    private static final long SIZE = MemoryStructs.KVM_ENC_REGION.offset("size");

    private static final String NONE =
            "the host has no encrypted memory (AMD SEV): its processor lacks it, or kvm_amd was loaded without it";
    private static final Map<Integer, String> REGION = Map.of(
            Errno.ENOTTY,
            NONE,
            Errno.EINVAL,
            "the VM has no encrypted memory; sevCommand starts it",
            Errno.ENOSYS,
            NONE);

    private final StructCall vm;

    MemoryEncryption(OwnedFd vm) {
        this.vm = new StructCall(vm);
    }

    Bytes command(int command, Bytes data) {
        if (data.length() > MOST_DATA) {
            throw new IllegalArgumentException(
                    "data of " + data.length() + " bytes for a SEV command; it must be at most " + MOST_DATA);
        }
        String what = "SEV command " + command;
        try (Arena arena = Arena.ofConfined();
                OwnedFd firmware = openFirmware(what)) {
            MemorySegment buffer = arena.allocate(MOST_DATA, Long.BYTES);
            MemorySegment.copy(data.toArray(), 0, buffer, ValueLayout.JAVA_BYTE, 0, data.length());
            MemorySegment request = DeviceStructs.KVM_SEV_CMD.allocate(arena);
            request.set(ValueLayout.JAVA_INT, ID, command);
            request.set(ValueLayout.JAVA_LONG, DATA, data.length() == 0 ? 0 : buffer.address());
            int number = firmware.acquire();
            try {
                request.set(ValueLayout.JAVA_INT, SEV_FD, number);
                int result = vm.fd().tryIoctl(VmIoctls.KVM_MEMORY_ENCRYPT_OP, request);
                if (result < 0) {
                    throw refusal(-result, what, request.get(ValueLayout.JAVA_INT, ERROR));
                }
            } finally {
                firmware.release();
            }
            return Bytes.copyOf(buffer.asSlice(0, data.length()).toArray(ValueLayout.JAVA_BYTE));
        }
    }

    private OwnedFd openFirmware(String what) {
        int number;
        try (Arena arena = Arena.ofConfined()) {
            number = Libc.open(arena.allocateFrom(FIRMWARE), Libc.O_RDWR | Libc.O_CLOEXEC, 0);
        }
        if (number < 0) {
            throw new KvmException(
                    VmIoctls.KVM_MEMORY_ENCRYPT_OP.name(),
                    vm.fd() + ", " + what + ", opening " + FIRMWARE,
                    -number,
                    -number == Errno.EACCES || -number == Errno.EPERM
                            ? "this process may not use " + FIRMWARE + "; see its owner and group"
                            : NONE);
        }
        return new OwnedFd(number, FIRMWARE);
    }

    private KvmException refusal(int errno, String what, int firmwareError) {
        String hint = errno == Errno.ENOTTY || errno == Errno.ENOSYS
                ? NONE
                : "the processor's firmware answered 0x%x; the VM may be in another state than the command needs"
                        .formatted(firmwareError);
        return vm.refusal(VmIoctls.KVM_MEMORY_ENCRYPT_OP, errno, what, Map.of(errno, hint));
    }

    void register(MemoryRegion region) {
        region(VmIoctls.KVM_MEMORY_ENCRYPT_REG_REGION, region);
    }

    void unregister(MemoryRegion region) {
        region(VmIoctls.KVM_MEMORY_ENCRYPT_UNREG_REGION, region);
    }

    private void region(Ioctl request, MemoryRegion region) {
        vm.set(request, MemoryStructs.KVM_ENC_REGION, region.toString(), REGION, struct -> {
            struct.set(ValueLayout.JAVA_LONG, ADDRESS, region.segment().address());
            struct.set(ValueLayout.JAVA_LONG, SIZE, region.size());
        });
    }
}
