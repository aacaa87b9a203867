package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.Struct.u32;

/** Structures that Arm hosts alone have (Linux, arch/arm64/include/uapi/asm/kvm.h). */
public final class ArmStructs {
    /** {@code struct kvm_vcpu_init}: 32 bytes. */
    public static final Struct KVM_VCPU_INIT = Struct.of("kvm_vcpu_init", u32("target"), u32("features", 7));

    private ArmStructs() {}
}
