package io.github.jkvm.kvm;

import io.github.jkvm.Capability;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.MemoryStructs;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;

/** Fills the guest's page tables ahead of use (Linux, Documentation/virt/kvm/api.rst, KVM_PRE_FAULT_MEMORY). */
final class PreFault {
    private static final long GPA = MemoryStructs.KVM_PRE_FAULT_MEMORY.offset("gpa");
    private static final long SIZE = MemoryStructs.KVM_PRE_FAULT_MEMORY.offset("size");

    private static final Map<Integer, String> HINTS = Map.of(
            Errno.EINVAL, "the range must begin and end at multiples of the page size",
            Errno.ENOENT, "there is no memory at this address",
            Errno.EOPNOTSUPP, "the host does not use page tables of its processor for this guest");

    private PreFault() {}

    static void fill(OwnedFd vm, OwnedFd vcpu, GuestAddress base, long size) {
        if (size < 0 || (size > 0 && Long.compareUnsigned(base.value(), -size) > 0)) {
            throw new IllegalArgumentException(size + " bytes from " + base
                    + ": the size must be 0 or more, and the range may not pass the end of the" + " address space");
        }
        StructCall.require(
                vm, Capability.PRE_FAULT_MEMORY, "preFaultMemory; pages are filled in when they are touched");
        var call = new StructCall(vcpu);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment struct = MemoryStructs.KVM_PRE_FAULT_MEMORY.allocate(arena);
            struct.set(ValueLayout.JAVA_LONG, GPA, base.value());
            struct.set(ValueLayout.JAVA_LONG, SIZE, size);
            // The kernel moves the range along as far as it came, and stops at signals.
            while (struct.get(ValueLayout.JAVA_LONG, SIZE) > 0) {
                int result = vcpu.tryIoctl(VCpuIoctls.KVM_PRE_FAULT_MEMORY, struct);
                if (result < 0 && result != -Errno.EINTR && result != -Errno.EAGAIN) {
                    String what = "0x%x, %d bytes left"
                            .formatted(struct.get(ValueLayout.JAVA_LONG, GPA), struct.get(ValueLayout.JAVA_LONG, SIZE));
                    throw call.refusal(VCpuIoctls.KVM_PRE_FAULT_MEMORY, -result, what, HINTS);
                }
            }
        }
    }
}
