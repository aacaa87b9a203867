package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.Struct.struct;
import static io.github.jkvm.kvm.layout.Struct.u16;
import static io.github.jkvm.kvm.layout.Struct.u32;
import static io.github.jkvm.kvm.layout.Struct.u64;
import static io.github.jkvm.kvm.layout.Struct.u8;
import static io.github.jkvm.kvm.layout.Struct.union;

/** Lists of CPUID answers and model-specific registers, and nested state (Linux, arch/x86/include/uapi/asm/kvm.h). */
public final class X86CpuStructs {
    /** {@code struct kvm_cpuid_entry2}. */
    public static final Struct KVM_CPUID_ENTRY2 = Struct.of(
            "kvm_cpuid_entry2",
            u32("function"),
            u32("index"),
            u32("flags"),
            u32("eax"),
            u32("ebx"),
            u32("ecx"),
            u32("edx"),
            u32("padding", 3));

    /** {@code struct kvm_cpuid2}. */
    public static final Struct KVM_CPUID2 =
            Struct.of("kvm_cpuid2", u32("nent"), u32("padding"), struct("entries", 0, KVM_CPUID_ENTRY2));

    /** {@code struct kvm_msr_entry}. */
    public static final Struct KVM_MSR_ENTRY = Struct.of("kvm_msr_entry", u32("index"), u32("reserved"), u64("data"));

    /** {@code struct kvm_msrs}. */
    public static final Struct KVM_MSRS =
            Struct.of("kvm_msrs", u32("nmsrs"), u32("pad"), struct("entries", 0, KVM_MSR_ENTRY));

    /** {@code struct kvm_msr_list}. */
    public static final Struct KVM_MSR_LIST = Struct.of("kvm_msr_list", u32("nmsrs"), u32("indices", 0));

    /** {@code struct kvm_vmx_nested_state_hdr}. */
    public static final Struct KVM_VMX_NESTED_STATE_HDR = Struct.of(
            "kvm_vmx_nested_state_hdr",
            u64("vmxon_pa"),
            u64("vmcs12_pa"),
            struct("smm", u16("flags")),
            u16("pad"),
            u32("flags"),
            u64("preemption_timer_deadline"));

    /** {@code struct kvm_svm_nested_state_hdr}. */
    public static final Struct KVM_SVM_NESTED_STATE_HDR = Struct.of("kvm_svm_nested_state_hdr", u64("vmcb_pa"));

    /** {@code struct kvm_vmx_nested_state_data}. */
    public static final Struct KVM_VMX_NESTED_STATE_DATA =
            Struct.of("kvm_vmx_nested_state_data", u8("vmcs12", 0x1000), u8("shadow_vmcs12", 0x1000));

    /** {@code struct kvm_svm_nested_state_data}. */
    public static final Struct KVM_SVM_NESTED_STATE_DATA = Struct.of("kvm_svm_nested_state_data", u8("vmcb12", 0x1000));

    /** {@code struct kvm_nested_state}: a header of 128 bytes; the data after it are counted in {@code size}. */
    public static final Struct KVM_NESTED_STATE = Struct.of(
            "kvm_nested_state",
            u16("flags"),
            u16("format"),
            u32("size"),
            union(
                    "hdr",
                    struct("vmx", KVM_VMX_NESTED_STATE_HDR),
                    struct("svm", KVM_SVM_NESTED_STATE_HDR),
                    u8("pad", 120)),
            union("data", struct("vmx", 0, KVM_VMX_NESTED_STATE_DATA), struct("svm", 0, KVM_SVM_NESTED_STATE_DATA)));

    private X86CpuStructs() {}
}
