package io.github.jkvm.kvm;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.Capabilities;
import io.github.jkvm.kvm.layout.ListCodec;
import io.github.jkvm.kvm.layout.SystemIoctls;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.Msr;
import java.util.List;
import java.util.Map;

/** What an x86 host can do: the requests of {@code /dev/kvm} behind {@link io.github.jkvm.x86.X86Hypervisor}. */
final class X86SystemState {
    private static final int FIRST_ROOM = 128;

    private final StructCall kvm;

    /**
     * Creates it.
     *
     * @param kvm {@code /dev/kvm}
     */
    X86SystemState(OwnedFd kvm) {
        this.kvm = new StructCall(kvm);
    }

    List<CpuidEntry> supportedCpuid() {
        return GrowingList.get(
                kvm, SystemIoctls.KVM_GET_SUPPORTED_CPUID, FIRST_ROOM, ListCodec::cpuidRoom, ListCodec::cpuid);
    }

    List<CpuidEntry> emulatedCpuid() {
        return GrowingList.get(
                kvm, SystemIoctls.KVM_GET_EMULATED_CPUID, FIRST_ROOM, ListCodec::cpuidRoom, ListCodec::cpuid);
    }

    List<CpuidEntry> hypervCpuid() {
        if (HostCapabilities.ask(kvm.fd(), Capabilities.KVM_CAP_SYS_HYPERV_CPUID) == 0) {
            throw kvm.refusal(
                    SystemIoctls.KVM_GET_SUPPORTED_HV_CPUID,
                    Errno.ENOTTY,
                    "",
                    Map.of(Errno.ENOTTY, "the host does not offer Hyper-V's interface to its guests"));
        }
        return GrowingList.get(
                kvm, SystemIoctls.KVM_GET_SUPPORTED_HV_CPUID, FIRST_ROOM, ListCodec::cpuidRoom, ListCodec::cpuid);
    }

    List<Integer> msrIndices() {
        return GrowingList.get(
                kvm, SystemIoctls.KVM_GET_MSR_INDEX_LIST, FIRST_ROOM, ListCodec::indexRoom, ListCodec::indices);
    }

    List<Integer> featureMsrIndices() {
        return GrowingList.get(
                kvm, SystemIoctls.KVM_GET_MSR_FEATURE_INDEX_LIST, FIRST_ROOM, ListCodec::indexRoom, ListCodec::indices);
    }

    List<Msr> featureMsrs(List<Integer> indices) {
        return new MsrCalls(kvm).read(indices);
    }
}
