package io.github.jkvm.kvm;

import io.github.jkvm.Bytes;
import io.github.jkvm.Capability;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.Capabilities;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import io.github.jkvm.kvm.layout.X86CpuStructs;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;

/** State of a guest that runs guests of its own (Linux, Documentation/virt/kvm/api.rst, KVM_GET_NESTED_STATE). */
final class NestedState {
    private static final long NESTED_SIZE = X86CpuStructs.KVM_NESTED_STATE.offset("size");

    private final OwnedFd vm;
    private final StructCall vcpu;

    NestedState(OwnedFd vm, OwnedFd vcpu) {
        this.vm = vm;
        this.vcpu = new StructCall(vcpu);
    }

    Bytes get() {
        int size = size();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment struct = arena.allocate(size, Long.BYTES);
            struct.set(ValueLayout.JAVA_INT, NESTED_SIZE, size);
            vcpu.call(VCpuIoctls.KVM_GET_NESTED_STATE, struct, size + " bytes", StructCall.USUAL);
            // The kernel writes as much as there is and tells how much that is.
            long used = Math.clamp(
                    struct.get(ValueLayout.JAVA_INT, NESTED_SIZE), X86CpuStructs.KVM_NESTED_STATE.size(), size);
            return Bytes.copyOf(struct.asSlice(0, used).toArray(ValueLayout.JAVA_BYTE));
        }
    }

    void set(Bytes state) {
        size();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment struct =
                    arena.allocate(Math.max(state.length(), X86CpuStructs.KVM_NESTED_STATE.size()), Long.BYTES);
            struct.copyFrom(MemorySegment.ofArray(state.toArray()));
            long told = Integer.toUnsignedLong(struct.get(ValueLayout.JAVA_INT, NESTED_SIZE));
            if (state.length() < X86CpuStructs.KVM_NESTED_STATE.size() || told > state.length()) {
                // The kernel would read past its end.
                throw new IllegalArgumentException("nested state of " + state.length() + " bytes tells that it has "
                        + told + "; it must have them, and at least " + X86CpuStructs.KVM_NESTED_STATE.size());
            }
            vcpu.call(
                    VCpuIoctls.KVM_SET_NESTED_STATE,
                    struct,
                    state.length() + " bytes",
                    Map.of(
                            Errno.EINVAL,
                            "the state is of another maker's processor, or does not fit the guest's registers and CPUID: set"
                                    + " those before"));
        }
    }

    private int size() {
        StructCall.require(
                vm, Capability.NESTED_STATE, "nested state; its kvm_intel or kvm_amd is loaded with nested=0");
        return Math.max(
                (int) X86CpuStructs.KVM_NESTED_STATE.size(),
                HostCapabilities.ask(vm, Capabilities.KVM_CAP_NESTED_STATE));
    }
}
