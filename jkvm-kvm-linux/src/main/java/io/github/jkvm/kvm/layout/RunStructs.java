package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.Struct.struct;
import static io.github.jkvm.kvm.layout.Struct.u16;
import static io.github.jkvm.kvm.layout.Struct.u32;
import static io.github.jkvm.kvm.layout.Struct.u64;
import static io.github.jkvm.kvm.layout.Struct.u8;
import static io.github.jkvm.kvm.layout.Struct.union;
import static io.github.jkvm.kvm.layout.Struct.unnamedUnion;

/**
 * The page a vCPU shares with the kernel, and what is in it (Linux, include/uapi/linux/kvm.h).
 *
 * <p>The fields of the exits are named as in C: {@code KVM_RUN.offset("io.port")}. Members of other architectures than x86, Arm and RISC-V
 * are left out; the union is 256 bytes long whatever its members.
 */
public final class RunStructs {
    /** Size of the union of exits, {@code char padding[256]} in {@code struct kvm_run}. */
    public static final int EXIT_UNION_SIZE = 256;

    /** Size of the union of shared registers ({@code SYNC_REGS_SIZE_BYTES}). */
    public static final int SYNC_REGS_SIZE_BYTES = 2048;

    /** {@code struct kvm_debug_exit_arch} of x86. */
    public static final Struct KVM_DEBUG_EXIT_ARCH =
            Struct.of("kvm_debug_exit_arch", u32("exception"), u32("pad"), u64("pc"), u64("dr6"), u64("dr7"));

    /** {@code struct kvm_hyperv_exit}. */
    public static final Struct KVM_HYPERV_EXIT = Struct.of(
            "kvm_hyperv_exit",
            u32("type"),
            u32("pad1"),
            union(
                    "u",
                    struct("synic", u32("msr"), u32("pad2"), u64("control"), u64("evt_page"), u64("msg_page")),
                    struct("hcall", u64("input"), u64("result"), u64("params", 2)),
                    struct(
                            "syndbg",
                            u32("msr"),
                            u32("pad2"),
                            u64("control"),
                            u64("status"),
                            u64("send_page"),
                            u64("recv_page"),
                            u64("pending_page"))));

    /** {@code struct kvm_xen_exit}. */
    public static final Struct KVM_XEN_EXIT = Struct.of(
            "kvm_xen_exit",
            u32("type"),
            union("u", struct("hcall", u32("longmode"), u32("cpl"), u64("input"), u64("result"), u64("params", 6))));

    /** {@code struct kvm_sync_regs} of x86. */
    public static final Struct KVM_SYNC_REGS = Struct.of(
            "kvm_sync_regs",
            struct("regs", RegisterStructs.KVM_REGS),
            struct("sregs", RegisterStructs.KVM_SREGS),
            struct("events", RegisterStructs.KVM_VCPU_EVENTS));

    /**
     * {@code struct kvm_run}. Newer than Linux 6.1 are {@code hypercall.flags} (6.4), {@code memory_fault} (6.8), {@code tdx} (6.16) and {@code
     * arm_sea} (6.19).
     */
    public static final Struct KVM_RUN = Struct.of(
            "kvm_run",
            u8("request_interrupt_window"),
            u8("immediate_exit"),
            u8("padding1", 6),
            u32("exit_reason"),
            u8("ready_for_interrupt_injection"),
            u8("if_flag"),
            u16("flags"),
            u64("cr8"),
            u64("apic_base"),
            unnamedUnion(
                    struct("hw", u64("hardware_exit_reason")),
                    struct("fail_entry", u64("hardware_entry_failure_reason"), u32("cpu")),
                    struct("ex", u32("exception"), u32("error_code")),
                    struct("io", u8("direction"), u8("size"), u16("port"), u32("count"), u64("data_offset")),
                    struct("debug", struct("arch", KVM_DEBUG_EXIT_ARCH)),
                    struct("mmio", u64("phys_addr"), u8("data", 8), u32("len"), u8("is_write")),
                    struct(
                            "hypercall",
                            u64("nr"),
                            u64("args", 6),
                            u64("ret"),
                            unnamedUnion(u32("longmode"), u64("flags"))),
                    struct("tpr_access", u64("rip"), u32("is_write"), u32("pad")),
                    struct("internal", u32("suberror"), u32("ndata"), u64("data", 16)),
                    struct(
                            "emulation_failure",
                            u32("suberror"),
                            u32("ndata"),
                            u64("flags"),
                            u8("insn_size"),
                            u8("insn_bytes", 15)),
                    struct("system_event", u32("type"), u32("ndata"), unnamedUnion(u64("flags"), u64("data", 16))),
                    struct("eoi", u8("vector")),
                    struct("hyperv", KVM_HYPERV_EXIT),
                    struct("arm_nisv", u64("esr_iss"), u64("fault_ipa")),
                    struct("msr", u8("error"), u8("pad", 7), u32("reason"), u32("index"), u64("data")),
                    struct("xen", KVM_XEN_EXIT),
                    struct("riscv_sbi", u64("extension_id"), u64("function_id"), u64("args", 6), u64("ret", 2)),
                    struct("riscv_csr", u64("csr_num"), u64("new_value"), u64("write_mask"), u64("ret_value")),
                    struct("notify", u32("flags")),
                    struct("memory_fault", u64("flags"), u64("gpa"), u64("size")),
                    struct(
                            "tdx",
                            u64("flags"),
                            u64("nr"),
                            unnamedUnion(
                                    struct("unknown", u64("ret"), u64("data", 5)),
                                    struct("get_quote", u64("ret"), u64("gpa"), u64("size")),
                                    struct(
                                            "get_tdvmcall_info",
                                            u64("ret"),
                                            u64("leaf"),
                                            u64("r11"),
                                            u64("r12"),
                                            u64("r13"),
                                            u64("r14")),
                                    struct("setup_event_notify", u64("ret"), u64("vector")))),
                    struct("arm_sea", u64("flags"), u64("esr"), u64("gva"), u64("gpa")),
                    u8("padding", EXIT_UNION_SIZE)),
            u64("kvm_valid_regs"),
            u64("kvm_dirty_regs"),
            union("s", struct("regs", KVM_SYNC_REGS), u8("padding", SYNC_REGS_SIZE_BYTES)));

    private RunStructs() {}
}
