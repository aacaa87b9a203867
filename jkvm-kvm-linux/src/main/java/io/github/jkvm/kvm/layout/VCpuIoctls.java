package io.github.jkvm.kvm.layout;

import io.github.jkvm.kvm.ffi.Ioctl;

/** Requests of a vCPU (Linux, include/uapi/linux/kvm.h). */
public final class VCpuIoctls {
    public static final Ioctl KVM_RUN = Ioctl.io("KVM_RUN", 0x80);

    public static final Ioctl KVM_GET_REGS = Ioctl.ior("KVM_GET_REGS", 0x81, RegisterStructs.KVM_REGS.size());

    public static final Ioctl KVM_SET_REGS = Ioctl.iow("KVM_SET_REGS", 0x82, RegisterStructs.KVM_REGS.size());

    public static final Ioctl KVM_GET_SREGS = Ioctl.ior("KVM_GET_SREGS", 0x83, RegisterStructs.KVM_SREGS.size());

    public static final Ioctl KVM_SET_SREGS = Ioctl.iow("KVM_SET_SREGS", 0x84, RegisterStructs.KVM_SREGS.size());

    public static final Ioctl KVM_TRANSLATE = Ioctl.iowr("KVM_TRANSLATE", 0x85, RegisterStructs.KVM_TRANSLATION.size());

    public static final Ioctl KVM_INTERRUPT = Ioctl.iow("KVM_INTERRUPT", 0x86, RegisterStructs.KVM_INTERRUPT.size());

    /** Also a request of {@code /dev/kvm}, for registers that tell what the host can do. */
    public static final Ioctl KVM_GET_MSRS = Ioctl.iowr("KVM_GET_MSRS", 0x88, X86CpuStructs.KVM_MSRS.size());

    public static final Ioctl KVM_SET_MSRS = Ioctl.iow("KVM_SET_MSRS", 0x89, X86CpuStructs.KVM_MSRS.size());

    public static final Ioctl KVM_SET_SIGNAL_MASK =
            Ioctl.iow("KVM_SET_SIGNAL_MASK", 0x8B, InterruptStructs.KVM_SIGNAL_MASK.size());

    public static final Ioctl KVM_GET_FPU = Ioctl.ior("KVM_GET_FPU", 0x8C, RegisterStructs.KVM_FPU.size());

    public static final Ioctl KVM_SET_FPU = Ioctl.iow("KVM_SET_FPU", 0x8D, RegisterStructs.KVM_FPU.size());

    public static final Ioctl KVM_GET_LAPIC = Ioctl.ior("KVM_GET_LAPIC", 0x8E, RegisterStructs.KVM_LAPIC_STATE.size());

    public static final Ioctl KVM_SET_LAPIC = Ioctl.iow("KVM_SET_LAPIC", 0x8F, RegisterStructs.KVM_LAPIC_STATE.size());

    public static final Ioctl KVM_SET_CPUID2 = Ioctl.iow("KVM_SET_CPUID2", 0x90, X86CpuStructs.KVM_CPUID2.size());

    public static final Ioctl KVM_GET_CPUID2 = Ioctl.iowr("KVM_GET_CPUID2", 0x91, X86CpuStructs.KVM_CPUID2.size());

    public static final Ioctl KVM_TPR_ACCESS_REPORTING =
            Ioctl.iowr("KVM_TPR_ACCESS_REPORTING", 0x92, RegisterStructs.KVM_TPR_ACCESS_CTL.size());

    public static final Ioctl KVM_GET_MP_STATE =
            Ioctl.ior("KVM_GET_MP_STATE", 0x98, RegisterStructs.KVM_MP_STATE.size());

    public static final Ioctl KVM_SET_MP_STATE =
            Ioctl.iow("KVM_SET_MP_STATE", 0x99, RegisterStructs.KVM_MP_STATE.size());

    public static final Ioctl KVM_NMI = Ioctl.io("KVM_NMI", 0x9A);

    public static final Ioctl KVM_SET_GUEST_DEBUG =
            Ioctl.iow("KVM_SET_GUEST_DEBUG", 0x9B, RegisterStructs.KVM_GUEST_DEBUG.size());

    public static final Ioctl KVM_GET_VCPU_EVENTS =
            Ioctl.ior("KVM_GET_VCPU_EVENTS", 0x9F, RegisterStructs.KVM_VCPU_EVENTS.size());

    public static final Ioctl KVM_SET_VCPU_EVENTS =
            Ioctl.iow("KVM_SET_VCPU_EVENTS", 0xA0, RegisterStructs.KVM_VCPU_EVENTS.size());

    public static final Ioctl KVM_GET_DEBUGREGS =
            Ioctl.ior("KVM_GET_DEBUGREGS", 0xA1, RegisterStructs.KVM_DEBUGREGS.size());

    public static final Ioctl KVM_SET_DEBUGREGS =
            Ioctl.iow("KVM_SET_DEBUGREGS", 0xA2, RegisterStructs.KVM_DEBUGREGS.size());

    /** Also a request of a VM, for its vCPUs to come. */
    public static final Ioctl KVM_SET_TSC_KHZ = Ioctl.io("KVM_SET_TSC_KHZ", 0xA2);

    public static final Ioctl KVM_GET_TSC_KHZ = Ioctl.io("KVM_GET_TSC_KHZ", 0xA3);

    /** Also a request of a VM. */
    public static final Ioctl KVM_ENABLE_CAP = Ioctl.iow("KVM_ENABLE_CAP", 0xA3, DeviceStructs.KVM_ENABLE_CAP.size());

    public static final Ioctl KVM_GET_XSAVE = Ioctl.ior("KVM_GET_XSAVE", 0xA4, RegisterStructs.KVM_XSAVE.size());

    public static final Ioctl KVM_SET_XSAVE = Ioctl.iow("KVM_SET_XSAVE", 0xA5, RegisterStructs.KVM_XSAVE.size());

    public static final Ioctl KVM_GET_XCRS = Ioctl.ior("KVM_GET_XCRS", 0xA6, RegisterStructs.KVM_XCRS.size());

    public static final Ioctl KVM_SET_XCRS = Ioctl.iow("KVM_SET_XCRS", 0xA7, RegisterStructs.KVM_XCRS.size());

    public static final Ioctl KVM_GET_ONE_REG = Ioctl.iow("KVM_GET_ONE_REG", 0xAB, DeviceStructs.KVM_ONE_REG.size());

    public static final Ioctl KVM_SET_ONE_REG = Ioctl.iow("KVM_SET_ONE_REG", 0xAC, DeviceStructs.KVM_ONE_REG.size());

    public static final Ioctl KVM_KVMCLOCK_CTRL = Ioctl.io("KVM_KVMCLOCK_CTRL", 0xAD);

    public static final Ioctl KVM_GET_REG_LIST =
            Ioctl.iowr("KVM_GET_REG_LIST", 0xB0, DeviceStructs.KVM_REG_LIST.size());

    public static final Ioctl KVM_SMI = Ioctl.io("KVM_SMI", 0xB7);

    public static final Ioctl KVM_GET_NESTED_STATE =
            Ioctl.iowr("KVM_GET_NESTED_STATE", 0xBE, X86CpuStructs.KVM_NESTED_STATE.size());

    public static final Ioctl KVM_SET_NESTED_STATE =
            Ioctl.iow("KVM_SET_NESTED_STATE", 0xBF, X86CpuStructs.KVM_NESTED_STATE.size());

    public static final Ioctl KVM_GET_SREGS2 = Ioctl.ior("KVM_GET_SREGS2", 0xCC, RegisterStructs.KVM_SREGS2.size());

    public static final Ioctl KVM_SET_SREGS2 = Ioctl.iow("KVM_SET_SREGS2", 0xCD, RegisterStructs.KVM_SREGS2.size());

    /** Also a request of a VM. */
    public static final Ioctl KVM_GET_STATS_FD = Ioctl.io("KVM_GET_STATS_FD", 0xCE);

    public static final Ioctl KVM_GET_XSAVE2 = Ioctl.ior("KVM_GET_XSAVE2", 0xCF, RegisterStructs.KVM_XSAVE.size());

    /** Since Linux 6.11. */
    public static final Ioctl KVM_PRE_FAULT_MEMORY =
            Ioctl.iowr("KVM_PRE_FAULT_MEMORY", 0xD5, MemoryStructs.KVM_PRE_FAULT_MEMORY.size());

    private VCpuIoctls() {}
}
