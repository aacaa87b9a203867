package io.github.jkvm.kvm.layout;

import io.github.jkvm.kvm.ffi.Ioctl;

/** Requests of {@code /dev/kvm} (Linux, include/uapi/linux/kvm.h). */
public final class SystemIoctls {
    public static final Ioctl KVM_GET_API_VERSION = Ioctl.io("KVM_GET_API_VERSION", 0x00);

    public static final Ioctl KVM_CREATE_VM = Ioctl.io("KVM_CREATE_VM", 0x01);

    public static final Ioctl KVM_GET_MSR_INDEX_LIST =
            Ioctl.iowr("KVM_GET_MSR_INDEX_LIST", 0x02, X86CpuStructs.KVM_MSR_LIST.size());

    /** Also a request of a VM, whose answer may differ. */
    public static final Ioctl KVM_CHECK_EXTENSION = Ioctl.io("KVM_CHECK_EXTENSION", 0x03);

    public static final Ioctl KVM_GET_VCPU_MMAP_SIZE = Ioctl.io("KVM_GET_VCPU_MMAP_SIZE", 0x04);

    public static final Ioctl KVM_GET_SUPPORTED_CPUID =
            Ioctl.iowr("KVM_GET_SUPPORTED_CPUID", 0x05, X86CpuStructs.KVM_CPUID2.size());

    public static final Ioctl KVM_GET_EMULATED_CPUID =
            Ioctl.iowr("KVM_GET_EMULATED_CPUID", 0x09, X86CpuStructs.KVM_CPUID2.size());

    public static final Ioctl KVM_GET_MSR_FEATURE_INDEX_LIST =
            Ioctl.iowr("KVM_GET_MSR_FEATURE_INDEX_LIST", 0x0A, X86CpuStructs.KVM_MSR_LIST.size());

    /** Also a request of a vCPU. */
    public static final Ioctl KVM_GET_SUPPORTED_HV_CPUID =
            Ioctl.iowr("KVM_GET_SUPPORTED_HV_CPUID", 0xC1, X86CpuStructs.KVM_CPUID2.size());

    private SystemIoctls() {}
}
