package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.StructCall.USUAL;

import io.github.jkvm.Bytes;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.Capabilities;
import io.github.jkvm.kvm.layout.RegisterStructs;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import io.github.jkvm.kvm.layout.VCpuStateCodec;
import io.github.jkvm.kvm.layout.XsaveCodec;
import io.github.jkvm.x86.FpuState;
import io.github.jkvm.x86.Xcr;
import io.github.jkvm.x86.XsaveState;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** What the {@code xsave} instruction saves of a vCPU, and the registers that control it. */
final class ExtendedState {
    /** The instruction's own (SDM volume 1, 13.4). */
    private static final int XSAVE_ALIGNMENT = 64;

    private final OwnedFd vm;
    private final StructCall vcpu;

    ExtendedState(OwnedFd vm, OwnedFd vcpu) {
        this.vm = vm;
        this.vcpu = new StructCall(vcpu);
    }

    /**
     * Reads the x87 and SSE registers from the extended state. {@code KVM_GET_FPU} would not do: it leaves out MXCSR, and what it gives is stale
     * if the processor has noted that the registers are in their initial state (Linux, arch/x86/kvm/x86.c, kvm_arch_vcpu_ioctl_get_fpu).
     */
    FpuState fpu() {
        return withXsave(XsaveCodec::fpu);
    }

    /** Sets the x87 and SSE registers in the extended state; after {@code KVM_SET_FPU} the processor may still take them as initial. */
    void setFpu(FpuState state) {
        withXsave(area -> {
            XsaveCodec.write(area, state);
            writeXsave(area);
            return true;
        });
    }

    FpuState legacyFpu() {
        return vcpu.get(VCpuIoctls.KVM_GET_FPU, RegisterStructs.KVM_FPU, USUAL, VCpuStateCodec::fpu);
    }

    void setLegacyFpu(FpuState state) {
        vcpu.set(
                VCpuIoctls.KVM_SET_FPU,
                RegisterStructs.KVM_FPU,
                "",
                USUAL,
                struct -> VCpuStateCodec.write(struct, state));
    }

    XsaveState xsave() {
        return withXsave(area -> new XsaveState(Bytes.copyOf(area.toArray(ValueLayout.JAVA_BYTE))));
    }

    private <T> T withXsave(Function<MemorySegment, T> action) {
        int size = xsaveSize();
        boolean old = HostCapabilities.ask(vm, Capabilities.KVM_CAP_XSAVE2) == 0;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment area = arena.allocate(size, XSAVE_ALIGNMENT);
            vcpu.call(old ? VCpuIoctls.KVM_GET_XSAVE : VCpuIoctls.KVM_GET_XSAVE2, area, size + " bytes", USUAL);
            return action.apply(area);
        }
    }

    void setXsave(XsaveState state) {
        int size = xsaveSize();
        if (state.data().length() < size) {
            // The kernel reads as many bytes as this vCPU's state has, whatever it is given.
            throw new IllegalArgumentException("xsave area has " + state.data().length()
                    + " bytes; this VM's vCPUs have " + size + ", as xsave() gives them");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment area = arena.allocate(state.data().length(), XSAVE_ALIGNMENT);
            area.copyFrom(MemorySegment.ofArray(state.data().toArray()));
            writeXsave(area);
        }
    }

    private void writeXsave(MemorySegment area) {
        vcpu.call(
                VCpuIoctls.KVM_SET_XSAVE,
                area,
                area.byteSize() + " bytes",
                Map.of(
                        Errno.EINVAL,
                        "the area says that it holds components which the host or the guest's CPUID does not have, or MXCSR has"
                                + " reserved bits"));
    }

    private int xsaveSize() {
        return Math.max((int) RegisterStructs.KVM_XSAVE.size(), HostCapabilities.ask(vm, Capabilities.KVM_CAP_XSAVE2));
    }

    List<Xcr> xcrs() {
        return vcpu.get(VCpuIoctls.KVM_GET_XCRS, RegisterStructs.KVM_XCRS, USUAL, VCpuStateCodec::xcrs);
    }

    void setXcrs(List<Xcr> xcrs) {
        vcpu.set(
                VCpuIoctls.KVM_SET_XCRS,
                RegisterStructs.KVM_XCRS,
                xcrs.toString(),
                Map.of(
                        Errno.EINVAL,
                        "the host has no such register, or bits are set for components that the guest's CPUID does not have;"
                                + " bit 0 must be set"),
                struct -> VCpuStateCodec.write(struct, xcrs));
    }
}
