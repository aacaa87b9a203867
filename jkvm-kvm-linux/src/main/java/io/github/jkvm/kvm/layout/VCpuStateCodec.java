package io.github.jkvm.kvm.layout;

import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_DEBUGREGS;
import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_FPU;
import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_GUEST_DEBUG;
import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_TRANSLATION;
import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_VCPU_EVENTS;
import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_XCR;
import static io.github.jkvm.kvm.layout.RegisterStructs.KVM_XCRS;

import io.github.jkvm.Bytes;
import io.github.jkvm.x86.DebugRegisters;
import io.github.jkvm.x86.FpuState;
import io.github.jkvm.x86.GuestDebug;
import io.github.jkvm.x86.Translation;
import io.github.jkvm.x86.VCpuEvents;
import io.github.jkvm.x86.Xcr;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Floating-point state, events, debug registers and what else a vCPU has, to and from the records of the API. */
public final class VCpuStateCodec {
    private static final int FPU_REGISTER_SIZE = 16;
    private static final long FPR = KVM_FPU.offset("fpr");
    private static final int FPR_COUNT = 8;
    private static final long FCW = KVM_FPU.offset("fcw");
    private static final long FSW = KVM_FPU.offset("fsw");
    private static final long FTWX = KVM_FPU.offset("ftwx");
    private static final long LAST_OPCODE = KVM_FPU.offset("last_opcode");
    private static final long LAST_IP = KVM_FPU.offset("last_ip");
    private static final long LAST_DP = KVM_FPU.offset("last_dp");
    private static final long XMM = KVM_FPU.offset("xmm");
    private static final int XMM_COUNT = 16;
    private static final long MXCSR = KVM_FPU.offset("mxcsr");

    private static final long EXCEPTION_INJECTED = KVM_VCPU_EVENTS.offset("exception.injected");
    private static final long EXCEPTION_NR = KVM_VCPU_EVENTS.offset("exception.nr");
    private static final long EXCEPTION_HAS_ERROR_CODE = KVM_VCPU_EVENTS.offset("exception.has_error_code");
    private static final long EXCEPTION_PENDING = KVM_VCPU_EVENTS.offset("exception.pending");
    private static final long EXCEPTION_ERROR_CODE = KVM_VCPU_EVENTS.offset("exception.error_code");
    private static final long INTERRUPT_INJECTED = KVM_VCPU_EVENTS.offset("interrupt.injected");
    private static final long INTERRUPT_NR = KVM_VCPU_EVENTS.offset("interrupt.nr");
    private static final long INTERRUPT_SOFT = KVM_VCPU_EVENTS.offset("interrupt.soft");
    private static final long INTERRUPT_SHADOW = KVM_VCPU_EVENTS.offset("interrupt.shadow");
    private static final long NMI_INJECTED = KVM_VCPU_EVENTS.offset("nmi.injected");
    private static final long NMI_PENDING = KVM_VCPU_EVENTS.offset("nmi.pending");
    private static final long NMI_MASKED = KVM_VCPU_EVENTS.offset("nmi.masked");
    private static final long SIPI_VECTOR = KVM_VCPU_EVENTS.offset("sipi_vector");
    private static final long EVENT_FLAGS = KVM_VCPU_EVENTS.offset("flags");
    private static final long SMM = KVM_VCPU_EVENTS.offset("smi.smm");
    private static final long SMM_PENDING = KVM_VCPU_EVENTS.offset("smi.pending");
    private static final long SMM_INSIDE_NMI = KVM_VCPU_EVENTS.offset("smi.smm_inside_nmi");
    private static final long SMM_LATCHED_INIT = KVM_VCPU_EVENTS.offset("smi.latched_init");
    private static final long TRIPLE_FAULT_PENDING = KVM_VCPU_EVENTS.offset("triple_fault.pending");
    private static final long EXCEPTION_HAS_PAYLOAD = KVM_VCPU_EVENTS.offset("exception_has_payload");
    private static final long EXCEPTION_PAYLOAD = KVM_VCPU_EVENTS.offset("exception_payload");

    private static final long DB = KVM_DEBUGREGS.offset("db");
    private static final int DB_COUNT = 4;
    private static final long DR6 = KVM_DEBUGREGS.offset("dr6");
    private static final long DR7 = KVM_DEBUGREGS.offset("dr7");
    private static final long DEBUG_FLAGS = KVM_DEBUGREGS.offset("flags");

    private static final long CONTROL = KVM_GUEST_DEBUG.offset("control");
    private static final long DEBUGREG = KVM_GUEST_DEBUG.offset("arch.debugreg");
    private static final long DEBUGREG7 = KVM_GUEST_DEBUG.offset("arch.debugreg[7]");

    private static final long NR_XCRS = KVM_XCRS.offset("nr_xcrs");
    private static final long XCRS = KVM_XCRS.offset("xcrs");
    private static final long XCR = KVM_XCR.offset("xcr");
    private static final long XCR_VALUE = KVM_XCR.offset("value");

    private static final long PHYSICAL_ADDRESS = KVM_TRANSLATION.offset("physical_address");
    private static final long VALID = KVM_TRANSLATION.offset("valid");
    private static final long WRITEABLE = KVM_TRANSLATION.offset("writeable");
    private static final long USERMODE = KVM_TRANSLATION.offset("usermode");

    private VCpuStateCodec() {}

    /**
     * Reads floating-point state.
     *
     * @param struct a {@code kvm_fpu}
     * @return the state
     */
    public static FpuState fpu(MemorySegment struct) {
        return new FpuState(
                fpuRegisters(struct, FPR, FPR_COUNT),
                Fields.u16(struct, FCW),
                Fields.u16(struct, FSW),
                Fields.u8(struct, FTWX),
                Fields.u16(struct, LAST_OPCODE),
                Fields.u64(struct, LAST_IP),
                Fields.u64(struct, LAST_DP),
                fpuRegisters(struct, XMM, XMM_COUNT),
                Fields.u32(struct, MXCSR));
    }

    private static List<Bytes> fpuRegisters(MemorySegment struct, long offset, int count) {
        List<Bytes> registers = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            registers.add(Fields.bytes(struct, offset + (long) i * FPU_REGISTER_SIZE, FPU_REGISTER_SIZE));
        }
        return registers;
    }

    /**
     * Writes floating-point state.
     *
     * @param struct a {@code kvm_fpu}
     * @param state the state
     * @throws IllegalArgumentException if a part does not fit its field
     */
    public static void write(MemorySegment struct, FpuState state) {
        for (int i = 0; i < FPR_COUNT; i++) {
            Fields.bytes(struct, FPR + (long) i * FPU_REGISTER_SIZE, state.fpr().get(i));
        }
        Fields.u16(struct, FCW, "fcw", state.fcw());
        Fields.u16(struct, FSW, "fsw", state.fsw());
        Fields.u8(struct, FTWX, "ftwx", state.ftwx());
        Fields.u16(struct, LAST_OPCODE, "last opcode", state.lastOpcode());
        Fields.u64(struct, LAST_IP, state.lastIp());
        Fields.u64(struct, LAST_DP, state.lastDp());
        for (int i = 0; i < XMM_COUNT; i++) {
            Fields.bytes(struct, XMM + (long) i * FPU_REGISTER_SIZE, state.xmm().get(i));
        }
        Fields.u32(struct, MXCSR, state.mxcsr());
    }

    /**
     * Reads events.
     *
     * @param struct a {@code kvm_vcpu_events}
     * @return the events
     */
    public static VCpuEvents events(MemorySegment struct) {
        return new VCpuEvents(
                Fields.u8(struct, EXCEPTION_INJECTED),
                Fields.u8(struct, EXCEPTION_NR),
                Fields.u8(struct, EXCEPTION_HAS_ERROR_CODE),
                Fields.u8(struct, EXCEPTION_PENDING),
                Fields.u32(struct, EXCEPTION_ERROR_CODE),
                Fields.u8(struct, INTERRUPT_INJECTED),
                Fields.u8(struct, INTERRUPT_NR),
                Fields.u8(struct, INTERRUPT_SOFT),
                Fields.u8(struct, INTERRUPT_SHADOW),
                Fields.u8(struct, NMI_INJECTED),
                Fields.u8(struct, NMI_PENDING),
                Fields.u8(struct, NMI_MASKED),
                Fields.u32(struct, SIPI_VECTOR),
                Fields.u32(struct, EVENT_FLAGS),
                Fields.u8(struct, SMM),
                Fields.u8(struct, SMM_PENDING),
                Fields.u8(struct, SMM_INSIDE_NMI),
                Fields.u8(struct, SMM_LATCHED_INIT),
                Fields.u8(struct, TRIPLE_FAULT_PENDING),
                Fields.u8(struct, EXCEPTION_HAS_PAYLOAD),
                Fields.u64(struct, EXCEPTION_PAYLOAD));
    }

    /**
     * Writes events.
     *
     * @param struct a {@code kvm_vcpu_events}
     * @param events the events
     * @throws IllegalArgumentException if a part does not fit its field
     */
    public static void write(MemorySegment struct, VCpuEvents events) {
        Fields.u8(struct, EXCEPTION_INJECTED, "exceptionInjected", events.exceptionInjected());
        Fields.u8(struct, EXCEPTION_NR, "exceptionNumber", events.exceptionNumber());
        Fields.u8(struct, EXCEPTION_HAS_ERROR_CODE, "exceptionHasErrorCode", events.exceptionHasErrorCode());
        Fields.u8(struct, EXCEPTION_PENDING, "exceptionPending", events.exceptionPending());
        Fields.u32(struct, EXCEPTION_ERROR_CODE, events.exceptionErrorCode());
        Fields.u8(struct, INTERRUPT_INJECTED, "interruptInjected", events.interruptInjected());
        Fields.u8(struct, INTERRUPT_NR, "interruptNumber", events.interruptNumber());
        Fields.u8(struct, INTERRUPT_SOFT, "interruptSoft", events.interruptSoft());
        Fields.u8(struct, INTERRUPT_SHADOW, "interruptShadow", events.interruptShadow());
        Fields.u8(struct, NMI_INJECTED, "nmiInjected", events.nmiInjected());
        Fields.u8(struct, NMI_PENDING, "nmiPending", events.nmiPending());
        Fields.u8(struct, NMI_MASKED, "nmiMasked", events.nmiMasked());
        Fields.u32(struct, SIPI_VECTOR, events.sipiVector());
        Fields.u32(struct, EVENT_FLAGS, events.flags());
        Fields.u8(struct, SMM, "smm", events.smm());
        Fields.u8(struct, SMM_PENDING, "smmPending", events.smmPending());
        Fields.u8(struct, SMM_INSIDE_NMI, "smmInsideNmi", events.smmInsideNmi());
        Fields.u8(struct, SMM_LATCHED_INIT, "smmLatchedInit", events.smmLatchedInit());
        Fields.u8(struct, TRIPLE_FAULT_PENDING, "tripleFaultPending", events.tripleFaultPending());
        Fields.u8(struct, EXCEPTION_HAS_PAYLOAD, "exceptionHasPayload", events.exceptionHasPayload());
        Fields.u64(struct, EXCEPTION_PAYLOAD, events.exceptionPayload());
    }

    /**
     * Reads debug registers.
     *
     * @param struct a {@code kvm_debugregs}
     * @return the registers
     */
    public static DebugRegisters debugRegisters(MemorySegment struct) {
        return new DebugRegisters(
                Fields.u64s(struct, DB, DB_COUNT),
                Fields.u64(struct, DR6),
                Fields.u64(struct, DR7),
                Fields.u64(struct, DEBUG_FLAGS));
    }

    /**
     * Writes debug registers.
     *
     * @param struct a {@code kvm_debugregs}
     * @param registers the registers
     */
    public static void write(MemorySegment struct, DebugRegisters registers) {
        Fields.u64s(struct, DB, registers.db());
        Fields.u64(struct, DR6, registers.dr6());
        Fields.u64(struct, DR7, registers.dr7());
        Fields.u64(struct, DEBUG_FLAGS, registers.flags());
    }

    /**
     * Writes what the host wants to be told of. It can't be read back from the kernel.
     *
     * @param struct a {@code kvm_guest_debug}, all zero
     * @param debug what; nothing at all if it has no features
     */
    public static void write(MemorySegment struct, GuestDebug debug) {
        int control = debug.features().isEmpty() ? 0 : X86Numbers.KVM_GUESTDBG_ENABLE;
        for (GuestDebug.Feature feature : debug.features()) {
            control |= switch (feature) {
                case SINGLE_STEP -> X86Numbers.KVM_GUESTDBG_SINGLESTEP;
                case SOFTWARE_BREAKPOINTS -> X86Numbers.KVM_GUESTDBG_USE_SW_BP;
                case HARDWARE_BREAKPOINTS -> X86Numbers.KVM_GUESTDBG_USE_HW_BP;
                case BLOCK_INTERRUPTS -> X86Numbers.KVM_GUESTDBG_BLOCKIRQ;
            };
        }
        Fields.u32(struct, CONTROL, control);
        Fields.u64s(struct, DEBUGREG, debug.breakpoints());
        Fields.u64(struct, DEBUGREG7, debug.dr7());
    }

    /**
     * Reads extended control registers.
     *
     * @param struct a {@code kvm_xcrs}
     * @return an immutable list
     */
    public static List<Xcr> xcrs(MemorySegment struct) {
        int count = Math.clamp(Fields.u32(struct, NR_XCRS), 0, RegisterStructs.KVM_MAX_XCRS);
        List<Xcr> xcrs = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            long at = XCRS + i * KVM_XCR.size();
            xcrs.add(new Xcr(Fields.u32(struct, at + XCR), Fields.u64(struct, at + XCR_VALUE)));
        }
        return List.copyOf(xcrs);
    }

    /**
     * Writes extended control registers.
     *
     * @param struct a {@code kvm_xcrs}, all zero
     * @param xcrs the registers
     * @throws IllegalArgumentException if there are more than 16
     */
    public static void write(MemorySegment struct, List<Xcr> xcrs) {
        if (xcrs.size() > RegisterStructs.KVM_MAX_XCRS) {
            throw new IllegalArgumentException("got " + xcrs.size() + " extended control registers; one call takes "
                    + RegisterStructs.KVM_MAX_XCRS);
        }
        Fields.u32(struct, NR_XCRS, xcrs.size());
        for (int i = 0; i < xcrs.size(); i++) {
            long at = XCRS + i * KVM_XCR.size();
            Fields.u32(struct, at + XCR, xcrs.get(i).index());
            Fields.u64(struct, at + XCR_VALUE, xcrs.get(i).value());
        }
    }

    /**
     * Reads where an address leads.
     *
     * @param struct a {@code kvm_translation}
     * @return where
     */
    public static Translation translation(MemorySegment struct) {
        return new Translation(
                Fields.u64(struct, PHYSICAL_ADDRESS),
                Fields.u8(struct, VALID),
                Fields.u8(struct, WRITEABLE),
                Fields.u8(struct, USERMODE));
    }
}
