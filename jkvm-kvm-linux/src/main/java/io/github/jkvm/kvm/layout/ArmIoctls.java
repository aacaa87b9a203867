package io.github.jkvm.kvm.layout;

import io.github.jkvm.kvm.ffi.Ioctl;

/** Requests that Arm hosts alone have (Linux, include/uapi/linux/kvm.h). */
public final class ArmIoctls {
    public static final Ioctl KVM_ARM_VCPU_INIT = Ioctl.iow("KVM_ARM_VCPU_INIT", 0xAE, ArmStructs.KVM_VCPU_INIT.size());

    /** A request of a VM. */
    public static final Ioctl KVM_ARM_PREFERRED_TARGET =
            Ioctl.ior("KVM_ARM_PREFERRED_TARGET", 0xAF, ArmStructs.KVM_VCPU_INIT.size());

    public static final Ioctl KVM_ARM_VCPU_FINALIZE = Ioctl.iow("KVM_ARM_VCPU_FINALIZE", 0xC2, Integer.BYTES);

    private ArmIoctls() {}
}
