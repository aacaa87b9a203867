package io.github.jkvm.kvm;

import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.X86Hypervisor;
import java.nio.file.Path;
import java.util.List;

/** KVM on an x86 host. */
public final class KvmX86Hypervisor extends KvmHypervisor implements X86Hypervisor {
    private final X86SystemState state;

    KvmX86Hypervisor(Path path, OwnedFd device) {
        super(path, device);
        this.state = new X86SystemState(device);
    }

    @Override
    KvmX86Vm newVm(OwnedFd vm) {
        return new KvmX86Vm(this, vm);
    }

    @Override
    public List<CpuidEntry> supportedCpuid() {
        return state.supportedCpuid();
    }

    @Override
    public List<CpuidEntry> emulatedCpuid() {
        return state.emulatedCpuid();
    }

    @Override
    public List<Integer> msrIndices() {
        return state.msrIndices();
    }

    @Override
    public List<Integer> featureMsrIndices() {
        return state.featureMsrIndices();
    }

    @Override
    public List<Msr> featureMsrs(List<Integer> indices) {
        return state.featureMsrs(indices);
    }

    /**
     * Returns what a guest's {@code cpuid} can answer to be taken for a guest of Hyper-V ({@code KVM_GET_SUPPORTED_HV_CPUID}).
     *
     * @return an immutable list
     * @throws IllegalStateException if this hypervisor is closed
     * @throws KvmException if the host does not offer Hyper-V's interface
     */
    public List<CpuidEntry> hypervCpuid() {
        return state.hypervCpuid();
    }
}
