package io.github.jkvm.kvm;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.layout.RunNumbers;
import org.jspecify.annotations.Nullable;

/**
 * Makes the record of an exit from the run page, and leaves in the page the answer that holds if nobody gives one: reads give all
 * ones, MSR accesses fault, hypercalls return all ones.
 */
final class ExitDecoder {
    /** What every bit of an unanswered read is. */
    static final long ALL_ONES = -1;

    /** In {@code msr.error}: the access faults. */
    static final int MSR_FAULT = 1;

    private final RunPage page;
    private final HostArchitecture architecture;

    /** A guest that rings with a port writes the same again and again; the record of it need not be made each time. */
    private VmExit.@Nullable PortOut lastOut;

    private long lastOutValue;

    ExitDecoder(RunPage page, HostArchitecture architecture) {
        this.page = page;
        this.architecture = architecture;
    }

    /** Returns what the page describes, or null for an exit that only says that a signal came. */
    @Nullable
    VmExit decode() {
        int reason = page.exitReason();
        return switch (reason) {
            case RunNumbers.KVM_EXIT_IO -> port();
            case RunNumbers.KVM_EXIT_MMIO -> mmio();
            case RunNumbers.KVM_EXIT_HLT -> new VmExit.Halt();
            case RunNumbers.KVM_EXIT_INTR -> null;
            case RunNumbers.KVM_EXIT_SHUTDOWN -> new VmExit.Shutdown();
            case RunNumbers.KVM_EXIT_SYSTEM_EVENT -> systemEvent();
            case RunNumbers.KVM_EXIT_FAIL_ENTRY ->
                new VmExit.FailEntry(page.u64("fail_entry.hardware_entry_failure_reason"), page.u32("fail_entry.cpu"));
            case RunNumbers.KVM_EXIT_INTERNAL_ERROR ->
                new VmExit.InternalError(
                        page.u32("internal.suberror"), page.u64s("internal.data", page.u32("internal.ndata")));
            case RunNumbers.KVM_EXIT_MEMORY_FAULT -> memoryFault();
            case RunNumbers.KVM_EXIT_HYPERCALL -> hypercall();
            case RunNumbers.KVM_EXIT_DEBUG -> debug();
            case RunNumbers.KVM_EXIT_IRQ_WINDOW_OPEN -> new VmExit.IrqWindowOpen();
            case RunNumbers.KVM_EXIT_SET_TPR -> new VmExit.SetTpr();
            case RunNumbers.KVM_EXIT_TPR_ACCESS ->
                new VmExit.TprAccess(
                        page.u64("tpr_access.rip"),
                        page.u32("tpr_access.is_write") != 0 ? VmExit.Access.WRITE : VmExit.Access.READ);
            case RunNumbers.KVM_EXIT_IOAPIC_EOI -> new VmExit.IoapicEoi(page.u8("eoi.vector"));
            case RunNumbers.KVM_EXIT_X86_RDMSR -> readMsr();
            case RunNumbers.KVM_EXIT_X86_WRMSR -> writeMsr();
            case RunNumbers.KVM_EXIT_DIRTY_RING_FULL -> new VmExit.DirtyRingFull();
            case RunNumbers.KVM_EXIT_AP_RESET_HOLD -> new VmExit.ApResetHold();
            case RunNumbers.KVM_EXIT_X86_BUS_LOCK -> new VmExit.BusLock();
            case RunNumbers.KVM_EXIT_NOTIFY -> new VmExit.Notify(Integer.toUnsignedLong(page.u32("notify.flags")));
            case RunNumbers.KVM_EXIT_HYPERV -> hyperv();
            case RunNumbers.KVM_EXIT_XEN -> xen();
            case RunNumbers.KVM_EXIT_ARM_NISV ->
                new VmExit.ArmNisv(page.u64("arm_nisv.esr_iss"), page.u64("arm_nisv.fault_ipa"));
            case RunNumbers.KVM_EXIT_EXCEPTION ->
                new VmExit.GuestException(page.u32("ex.exception"), page.u32("ex.error_code"));
            case RunNumbers.KVM_EXIT_NMI -> new VmExit.Nmi();
            case RunNumbers.KVM_EXIT_WATCHDOG -> new VmExit.Watchdog();
            default -> new VmExit.Unknown(reason, page.exit());
        };
    }

    private VmExit port() {
        int port = page.port();
        int size = page.portSize();
        int count = page.portCount();
        long data = page.portData();
        if (!page.portIsRead()) {
            return count == 1 ? portOut(port, size, data) : newPortOut(port, size, count, data);
        }
        for (int i = 0; i < count; i++) {
            page.setElement(data + (long) i * size, size, ALL_ONES);
        }
        return new VmExit.PortIn(port, size, count);
    }

    private VmExit portOut(int port, int size, long data) {
        long value = page.element(data, size);
        VmExit.PortOut last = lastOut;
        if (last == null || last.port() != port || last.size() != size || lastOutValue != value) {
            last = newPortOut(port, size, 1, data);
            lastOut = last;
            lastOutValue = value;
        }
        return last;
    }

    private VmExit.PortOut newPortOut(int port, int size, int count, long data) {
        return new VmExit.PortOut(port, size, count, page.bytes(data, (long) size * count));
    }

    private VmExit mmio() {
        GuestAddress address = GuestAddress.of(page.mmioAddress());
        int length = page.mmioLength();
        if (page.mmioIsWrite()) {
            return new VmExit.MmioWrite(address, page.mmioBytes(length));
        }
        page.setMmioData(ALL_ONES);
        return new VmExit.MmioRead(address, length);
    }

    private VmExit systemEvent() {
        int type = page.u32("system_event.type");
        VmExit.SystemEventType known = switch (type) {
            case RunNumbers.KVM_SYSTEM_EVENT_SHUTDOWN -> VmExit.SystemEventType.SHUTDOWN;
            case RunNumbers.KVM_SYSTEM_EVENT_RESET -> VmExit.SystemEventType.RESET;
            case RunNumbers.KVM_SYSTEM_EVENT_CRASH -> VmExit.SystemEventType.CRASH;
            case RunNumbers.KVM_SYSTEM_EVENT_WAKEUP -> VmExit.SystemEventType.WAKEUP;
            case RunNumbers.KVM_SYSTEM_EVENT_SUSPEND -> VmExit.SystemEventType.SUSPEND;
            case RunNumbers.KVM_SYSTEM_EVENT_SEV_TERM -> VmExit.SystemEventType.SEV_TERMINATE;
            case RunNumbers.KVM_SYSTEM_EVENT_TDX_FATAL -> VmExit.SystemEventType.TDX_FATAL;
            default -> VmExit.SystemEventType.OTHER;
        };
        return new VmExit.SystemEvent(known, type, page.u64s("system_event.data", page.u32("system_event.ndata")));
    }

    private VmExit memoryFault() {
        VmExit fault = new VmExit.MemoryFault(
                page.u64("memory_fault.flags"),
                GuestAddress.of(page.u64("memory_fault.gpa")),
                page.u64("memory_fault.size"));
        page.clearExitReason();
        return fault;
    }

    private VmExit hypercall() {
        page.setU64("hypercall.ret", ALL_ONES);
        return new VmExit.Hypercall(
                page.u64("hypercall.nr"), page.u64s("hypercall.args", 6), page.u64("hypercall.flags"));
    }

    private VmExit debug() {
        return switch (architecture) {
            case X86_64 ->
                new VmExit.Debug(
                        page.u32("debug.arch.exception"),
                        page.u64("debug.arch.pc"),
                        page.u64("debug.arch.dr6"),
                        page.u64("debug.arch.dr7"));
            // Arm's struct is { __u32 hsr, hsr_high; __u64 far } (arch/arm64/include/uapi/asm/kvm.h): two numbers where
            // x86 has others.
            case AARCH64 -> new VmExit.ArmDebug(page.u64("debug.arch.exception"), page.u64("debug.arch.pc"));
        };
    }

    private VmExit readMsr() {
        page.setU8("msr.error", MSR_FAULT);
        return new VmExit.ReadMsr(page.u32("msr.index"), page.u32("msr.reason"));
    }

    private VmExit writeMsr() {
        page.setU8("msr.error", MSR_FAULT);
        return new VmExit.WriteMsr(page.u32("msr.index"), page.u32("msr.reason"), page.u64("msr.data"));
    }

    private VmExit hyperv() {
        int type = page.u32("hyperv.type");
        VmExit exit = new VmExit.Hyperv(type, page.bytes("hyperv.u"));
        if (type == RunNumbers.KVM_EXIT_HYPERV_HCALL) {
            page.setU64("hyperv.u.hcall.result", ALL_ONES);
        }
        return exit;
    }

    private VmExit xen() {
        page.setU64("xen.u.hcall.result", ALL_ONES);
        return new VmExit.Xen(
                page.u32("xen.type"),
                page.u32("xen.u.hcall.longmode"),
                page.u32("xen.u.hcall.cpl"),
                page.u64("xen.u.hcall.input"),
                page.u64s("xen.u.hcall.params", 6));
    }
}
