package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.Struct.struct;
import static io.github.jkvm.kvm.layout.Struct.u16;
import static io.github.jkvm.kvm.layout.Struct.u32;
import static io.github.jkvm.kvm.layout.Struct.u64;
import static io.github.jkvm.kvm.layout.Struct.u8;

import io.github.jkvm.kvm.layout.Struct.Field;
import java.util.stream.Stream;

/** Registers and events of an x86 vCPU (Linux, arch/x86/include/uapi/asm/kvm.h). */
public final class RegisterStructs {
    /** {@code struct kvm_regs}. */
    public static final Struct KVM_REGS = Struct.of(
            "kvm_regs",
            u64("rax"),
            u64("rbx"),
            u64("rcx"),
            u64("rdx"),
            u64("rsi"),
            u64("rdi"),
            u64("rsp"),
            u64("rbp"),
            u64("r8"),
            u64("r9"),
            u64("r10"),
            u64("r11"),
            u64("r12"),
            u64("r13"),
            u64("r14"),
            u64("r15"),
            u64("rip"),
            u64("rflags"));

    /** {@code struct kvm_segment}. */
    public static final Struct KVM_SEGMENT = Struct.of(
            "kvm_segment",
            u64("base"),
            u32("limit"),
            u16("selector"),
            u8("type"),
            u8("present"),
            u8("dpl"),
            u8("db"),
            u8("s"),
            u8("l"),
            u8("g"),
            u8("avl"),
            u8("unusable"),
            u8("padding"));

    /** {@code struct kvm_dtable}. */
    public static final Struct KVM_DTABLE = Struct.of("kvm_dtable", u64("base"), u16("limit"), u16("padding", 3));

    /** {@code struct kvm_sregs}. */
    public static final Struct KVM_SREGS = Struct.of("kvm_sregs", specialRegisters(u64("interrupt_bitmap", 4)));

    /** {@code struct kvm_sregs2}. */
    public static final Struct KVM_SREGS2 = Struct.of("kvm_sregs2", specialRegisters(u64("flags"), u64("pdptrs", 4)));

    private static Field[] specialRegisters(Field... last) {
        return Stream.concat(
                        Stream.of(
                                struct("cs", KVM_SEGMENT),
                                struct("ds", KVM_SEGMENT),
                                struct("es", KVM_SEGMENT),
                                struct("fs", KVM_SEGMENT),
                                struct("gs", KVM_SEGMENT),
                                struct("ss", KVM_SEGMENT),
                                struct("tr", KVM_SEGMENT),
                                struct("ldt", KVM_SEGMENT),
                                struct("gdt", KVM_DTABLE),
                                struct("idt", KVM_DTABLE),
                                u64("cr0"),
                                u64("cr2"),
                                u64("cr3"),
                                u64("cr4"),
                                u64("cr8"),
                                u64("efer"),
                                u64("apic_base")),
                        Stream.of(last))
                .toArray(Field[]::new);
    }

    /** {@code struct kvm_vcpu_events}. */
    public static final Struct KVM_VCPU_EVENTS = Struct.of(
            "kvm_vcpu_events",
            struct("exception", u8("injected"), u8("nr"), u8("has_error_code"), u8("pending"), u32("error_code")),
            struct("interrupt", u8("injected"), u8("nr"), u8("soft"), u8("shadow")),
            struct("nmi", u8("injected"), u8("pending"), u8("masked"), u8("pad")),
            u32("sipi_vector"),
            u32("flags"),
            struct("smi", u8("smm"), u8("pending"), u8("smm_inside_nmi"), u8("latched_init")),
            struct("triple_fault", u8("pending")),
            u8("reserved", 26),
            u8("exception_has_payload"),
            u64("exception_payload"));

    /** {@code struct kvm_debugregs}. */
    public static final Struct KVM_DEBUGREGS =
            Struct.of("kvm_debugregs", u64("db", 4), u64("dr6"), u64("dr7"), u64("flags"), u64("reserved", 9));

    /** {@code struct kvm_fpu}. */
    public static final Struct KVM_FPU = Struct.of(
            "kvm_fpu",
            u8("fpr", 8, 16),
            u16("fcw"),
            u16("fsw"),
            u8("ftwx"),
            u8("pad1"),
            u16("last_opcode"),
            u64("last_ip"),
            u64("last_dp"),
            u8("xmm", 16, 16),
            u32("mxcsr"),
            u32("pad2"));

    /** {@code struct kvm_xsave}; more than its 4096 bytes where {@code KVM_CAP_XSAVE2} says so. */
    public static final Struct KVM_XSAVE = Struct.of("kvm_xsave", u32("region", 1024), u32("extra", 0));

    /** {@code struct kvm_xcr}. */
    public static final Struct KVM_XCR = Struct.of("kvm_xcr", u32("xcr"), u32("reserved"), u64("value"));

    /** Most extended control registers in one call. */
    public static final int KVM_MAX_XCRS = 16;

    /** {@code struct kvm_xcrs}. */
    public static final Struct KVM_XCRS = Struct.of(
            "kvm_xcrs", u32("nr_xcrs"), u32("flags"), struct("xcrs", KVM_MAX_XCRS, KVM_XCR), u64("padding", 16));

    /** {@code struct kvm_lapic_state}. */
    public static final Struct KVM_LAPIC_STATE = Struct.of("kvm_lapic_state", u8("regs", 0x400));

    /** {@code struct kvm_mp_state}. */
    public static final Struct KVM_MP_STATE = Struct.of("kvm_mp_state", u32("mp_state"));

    /** {@code struct kvm_guest_debug_arch} of x86. */
    public static final Struct KVM_GUEST_DEBUG_ARCH = Struct.of("kvm_guest_debug_arch", u64("debugreg", 8));

    /** {@code struct kvm_guest_debug}. */
    public static final Struct KVM_GUEST_DEBUG =
            Struct.of("kvm_guest_debug", u32("control"), u32("pad"), struct("arch", KVM_GUEST_DEBUG_ARCH));

    /** {@code struct kvm_translation}. */
    public static final Struct KVM_TRANSLATION = Struct.of(
            "kvm_translation",
            u64("linear_address"),
            u64("physical_address"),
            u8("valid"),
            u8("writeable"),
            u8("usermode"),
            u8("pad", 5));

    /** {@code struct kvm_interrupt}. */
    public static final Struct KVM_INTERRUPT = Struct.of("kvm_interrupt", u32("irq"));

    /** {@code struct kvm_tpr_access_ctl} (include/uapi/linux/kvm.h). */
    public static final Struct KVM_TPR_ACCESS_CTL =
            Struct.of("kvm_tpr_access_ctl", u32("enabled"), u32("flags"), u32("reserved", 8));

    private RegisterStructs() {}
}
