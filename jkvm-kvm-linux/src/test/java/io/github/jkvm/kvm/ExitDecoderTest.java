package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.RunStructs.KVM_RUN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Bytes;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.layout.RunNumbers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Every exit that Documentation/virt/kvm/api.rst ("The kvm_run structure") describes becomes its record, with all that the page says. */
class ExitDecoderTest {
    private static final long DATA = 4096;

    private final MemorySegment page = Arena.ofAuto().allocate(3 * 4096, 4096);
    private final RunPage run = new RunPage(page);
    private final ExitAnswer answer = new ExitAnswer(run, "vCPU 7");

    private void u8(String path, int value) {
        page.set(ValueLayout.JAVA_BYTE, KVM_RUN.offset(path), (byte) value);
    }

    private void u16(String path, int value) {
        page.set(ValueLayout.JAVA_SHORT, KVM_RUN.offset(path), (short) value);
    }

    private void u32(String path, int value) {
        page.set(ValueLayout.JAVA_INT, KVM_RUN.offset(path), value);
    }

    private void u64(String path, long value) {
        page.set(ValueLayout.JAVA_LONG, KVM_RUN.offset(path), value);
    }

    private long u64(String path) {
        return page.get(ValueLayout.JAVA_LONG, KVM_RUN.offset(path));
    }

    private void u64s(String path, long... values) {
        for (int i = 0; i < values.length; i++) {
            page.set(ValueLayout.JAVA_LONG, KVM_RUN.offset(path) + i * 8L, values[i]);
        }
    }

    private VmExit decode(int reason) {
        u32("exit_reason", reason);
        VmExit exit = new ExitDecoder(run, HostArchitecture.X86_64).decode();
        if (exit != null) {
            answer.ask(exit);
        }
        return exit;
    }

    private void port(int direction, int port, int size, int count) {
        u8("io.direction", direction);
        u8("io.size", size);
        u16("io.port", port);
        u32("io.count", count);
        u64("io.data_offset", DATA);
    }

    @Test
    void portWriteCarriesItsElements() {
        port(RunNumbers.KVM_EXIT_IO_OUT, 0xFFF0, 2, 2);
        page.set(ValueLayout.JAVA_INT, DATA, 0x44332211);
        assertThat(decode(RunNumbers.KVM_EXIT_IO))
                .isEqualTo(new VmExit.PortOut(
                        0xFFF0, 2, 2, Bytes.copyOf((byte) 0x11, (byte) 0x22, (byte) 0x33, (byte) 0x44)));
    }

    @Test
    void portReadIsAllOnesUntilAnsweredForEachElement() {
        port(RunNumbers.KVM_EXIT_IO_IN, 0x1F0, 2, 3);
        assertThat(decode(RunNumbers.KVM_EXIT_IO)).isEqualTo(new VmExit.PortIn(0x1F0, 2, 3));
        assertThat(page.get(ValueLayout.JAVA_INT, DATA)).isEqualTo(-1);
        assertThat(page.get(ValueLayout.JAVA_INT, DATA + 4)).isEqualTo(0xFFFF);
        answer.give(0x12345);
        assertThat(page.get(ValueLayout.JAVA_INT, DATA)).isEqualTo(0x23452345);
        assertThat(page.get(ValueLayout.JAVA_INT, DATA + 4)).isEqualTo(0x2345);
    }

    @Test
    void mmioCarriesAddressAndBytes() {
        u64("mmio.phys_addr", 0xFFFF_FFFF_FEE0_0000L);
        u64("mmio.data", 0x8877665544332211L);
        u32("mmio.len", 3);
        u8("mmio.is_write", 1);
        assertThat(decode(RunNumbers.KVM_EXIT_MMIO))
                .isEqualTo(new VmExit.MmioWrite(
                        GuestAddress.of(0xFFFF_FFFF_FEE0_0000L), Bytes.copyOf((byte) 0x11, (byte) 0x22, (byte) 0x33)));
        u8("mmio.is_write", 0);
        assertThat(decode(RunNumbers.KVM_EXIT_MMIO))
                .isEqualTo(new VmExit.MmioRead(GuestAddress.of(0xFFFF_FFFF_FEE0_0000L), 3));
        assertThat(u64("mmio.data")).isEqualTo(-1);
        answer.give(Bytes.copyOf((byte) 1, (byte) 2, (byte) 3));
        assertThat(u64("mmio.data") & 0xFFFFFF).isEqualTo(0x030201);
    }

    @Test
    void mmioValueHasNoBitsAboveItsLength() {
        u64("mmio.data", -1);
        assertThat(run.mmioData(1)).isEqualTo(0xFF);
        assertThat(run.mmioData(7)).isEqualTo(0xFF_FFFF_FFFF_FFFFL);
        assertThat(run.mmioData(8)).isEqualTo(-1);
    }

    @Test
    void exitsWithoutPayloadAreTheirRecord() {
        assertThat(decode(RunNumbers.KVM_EXIT_HLT)).isEqualTo(new VmExit.Halt());
        assertThat(decode(RunNumbers.KVM_EXIT_SHUTDOWN)).isEqualTo(new VmExit.Shutdown());
        assertThat(decode(RunNumbers.KVM_EXIT_IRQ_WINDOW_OPEN)).isEqualTo(new VmExit.IrqWindowOpen());
        assertThat(decode(RunNumbers.KVM_EXIT_SET_TPR)).isEqualTo(new VmExit.SetTpr());
        assertThat(decode(RunNumbers.KVM_EXIT_DIRTY_RING_FULL)).isEqualTo(new VmExit.DirtyRingFull());
        assertThat(decode(RunNumbers.KVM_EXIT_AP_RESET_HOLD)).isEqualTo(new VmExit.ApResetHold());
        assertThat(decode(RunNumbers.KVM_EXIT_X86_BUS_LOCK)).isEqualTo(new VmExit.BusLock());
        assertThat(decode(RunNumbers.KVM_EXIT_NMI)).isEqualTo(new VmExit.Nmi());
        assertThat(decode(RunNumbers.KVM_EXIT_WATCHDOG)).isEqualTo(new VmExit.Watchdog());
    }

    @Test
    void exitForASignalIsNone() {
        assertThat(decode(RunNumbers.KVM_EXIT_INTR)).isNull();
    }

    @Test
    void systemEventCarriesTypeAndData() {
        u32("system_event.type", RunNumbers.KVM_SYSTEM_EVENT_CRASH);
        u32("system_event.ndata", 2);
        u64s("system_event.data", 11, -12, 13);
        assertThat(decode(RunNumbers.KVM_EXIT_SYSTEM_EVENT))
                .isEqualTo(new VmExit.SystemEvent(VmExit.SystemEventType.CRASH, 3, List.of(11L, -12L)));
        u32("system_event.type", 99);
        u32("system_event.ndata", -1);
        assertThat(decode(RunNumbers.KVM_EXIT_SYSTEM_EVENT)).isInstanceOfSatisfying(VmExit.SystemEvent.class, event -> {
            assertThat(event.type()).isEqualTo(VmExit.SystemEventType.OTHER);
            assertThat(event.rawType()).isEqualTo(99);
            assertThat(event.data()).hasSize(16);
        });
    }

    @Test
    void failuresCarryWhatTheHostSays() {
        u64("fail_entry.hardware_entry_failure_reason", 0x8000_0021L);
        u32("fail_entry.cpu", 3);
        assertThat(decode(RunNumbers.KVM_EXIT_FAIL_ENTRY)).isEqualTo(new VmExit.FailEntry(0x8000_0021L, 3));
        u32("internal.suberror", RunNumbers.KVM_INTERNAL_ERROR_DELIVERY_EV);
        u32("internal.ndata", 3);
        u64s("internal.data", 1, 2, 3);
        assertThat(decode(RunNumbers.KVM_EXIT_INTERNAL_ERROR))
                .isEqualTo(new VmExit.InternalError(3, List.of(1L, 2L, 3L)));
        u32("ex.exception", 14);
        u32("ex.error_code", 2);
        assertThat(decode(RunNumbers.KVM_EXIT_EXCEPTION)).isEqualTo(new VmExit.GuestException(14, 2));
    }

    @Test
    void memoryFaultIsReportedOnce() {
        u64s("memory_fault.flags", RunNumbers.KVM_MEMORY_EXIT_FLAG_PRIVATE, 0x12345000L, 0x1000);
        assertThat(decode(RunNumbers.KVM_EXIT_MEMORY_FAULT))
                .isEqualTo(new VmExit.MemoryFault(8, GuestAddress.of(0x12345000L), 0x1000));
        assertThat(run.exitReason()).isEqualTo(RunNumbers.KVM_EXIT_UNKNOWN);
    }

    @Test
    void hypercallReturnsAllOnesUntilAnswered() {
        u64("hypercall.nr", 12);
        u64s("hypercall.args", 1, 2, 3, 4, 5, 6);
        u64("hypercall.flags", 1);
        assertThat(decode(RunNumbers.KVM_EXIT_HYPERCALL))
                .isEqualTo(new VmExit.Hypercall(12, List.of(1L, 2L, 3L, 4L, 5L, 6L), 1));
        assertThat(u64("hypercall.ret")).isEqualTo(-1);
        answer.give(42);
        assertThat(u64("hypercall.ret")).isEqualTo(42);
    }

    @Test
    void debugExitIsThatOfTheArchitecture() {
        u32("debug.arch.exception", 3);
        u64s("debug.arch.pc", 0x1000, 0x4001, 0x400);
        assertThat(decode(RunNumbers.KVM_EXIT_DEBUG)).isEqualTo(new VmExit.Debug(3, 0x1000, 0x4001, 0x400));
        // arch/arm64/include/uapi/asm/kvm.h: struct kvm_debug_exit_arch { __u32 hsr, hsr_high; __u64 far; }
        u32("debug.arch.exception", 0xF200_0000);
        u32("debug.arch.pad", 1);
        assertThat(new ExitDecoder(run, HostArchitecture.AARCH64).decode())
                .isEqualTo(new VmExit.ArmDebug(0x1_F200_0000L, 0x1000));
    }

    @Test
    void taskPriorityAndEndOfInterruptCarryTheirValues() {
        u64("tpr_access.rip", 0xFFFF_8000_0000_0000L);
        u32("tpr_access.is_write", 1);
        assertThat(decode(RunNumbers.KVM_EXIT_TPR_ACCESS))
                .isEqualTo(new VmExit.TprAccess(0xFFFF_8000_0000_0000L, VmExit.Access.WRITE));
        u8("eoi.vector", 0xFE);
        assertThat(decode(RunNumbers.KVM_EXIT_IOAPIC_EOI)).isEqualTo(new VmExit.IoapicEoi(0xFE));
        u32("notify.flags", RunNumbers.KVM_NOTIFY_CONTEXT_INVALID);
        assertThat(decode(RunNumbers.KVM_EXIT_NOTIFY)).isEqualTo(new VmExit.Notify(1));
        u64s("arm_nisv.esr_iss", 0x93, 0x0900_0000);
        assertThat(decode(RunNumbers.KVM_EXIT_ARM_NISV)).isEqualTo(new VmExit.ArmNisv(0x93, 0x0900_0000));
    }

    @Test
    void msrAccessFaultsUntilAnswered() {
        u32("msr.reason", RunNumbers.KVM_MSR_EXIT_REASON_FILTER);
        u32("msr.index", 0xC000_0080);
        u64("msr.data", 5);
        u8("msr.error", 0);
        assertThat(decode(RunNumbers.KVM_EXIT_X86_RDMSR)).isEqualTo(new VmExit.ReadMsr(0xC000_0080, 4));
        assertThat(run.u8("msr.error")).isEqualTo(1);
        answer.give(0x500);
        assertThat(run.u8("msr.error")).isZero();
        assertThat(u64("msr.data")).isEqualTo(0x500);
        u64("msr.data", 7);
        assertThat(decode(RunNumbers.KVM_EXIT_X86_WRMSR)).isEqualTo(new VmExit.WriteMsr(0xC000_0080, 4, 7));
        assertThat(run.u8("msr.error")).isEqualTo(1);
        answer.give(0);
        assertThat(run.u8("msr.error")).isZero();
        decode(RunNumbers.KVM_EXIT_X86_WRMSR);
        answer.fault();
        assertThat(run.u8("msr.error")).isEqualTo(1);
    }

    @Test
    void hypervHypercallTakesAnAnswerAndOtherHypervExitsNone() {
        u32("hyperv.type", RunNumbers.KVM_EXIT_HYPERV_HCALL);
        u64("hyperv.u.hcall.input", 0x1234);
        assertThat(decode(RunNumbers.KVM_EXIT_HYPERV)).isInstanceOfSatisfying(VmExit.Hyperv.class, exit -> {
            assertThat(exit.type()).isEqualTo(2);
            assertThat(Bytes.copyOf(java.util.Arrays.copyOf(exit.data().toArray(), 8))
                            .toLong())
                    .isEqualTo(0x1234);
        });
        assertThat(u64("hyperv.u.hcall.result")).isEqualTo(-1);
        answer.give(3);
        assertThat(u64("hyperv.u.hcall.result")).isEqualTo(3);
        u32("hyperv.type", RunNumbers.KVM_EXIT_HYPERV_SYNIC);
        decode(RunNumbers.KVM_EXIT_HYPERV);
        assertThatThrownBy(() -> answer.give(1))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("vCPU 7 takes no answer now: its last exit was Hyperv");
    }

    @Test
    void xenHypercallCarriesItsParameters() {
        u32("xen.type", RunNumbers.KVM_EXIT_XEN_HCALL);
        u32("xen.u.hcall.longmode", 1);
        u32("xen.u.hcall.cpl", 3);
        u64("xen.u.hcall.input", 17);
        u64s("xen.u.hcall.params", 1, 2, 3, 4, 5, 6);
        assertThat(decode(RunNumbers.KVM_EXIT_XEN))
                .isEqualTo(new VmExit.Xen(1, 1, 3, 17, List.of(1L, 2L, 3L, 4L, 5L, 6L)));
        answer.give(-38);
        assertThat(u64("xen.u.hcall.result")).isEqualTo(-38);
    }

    @Test
    void reasonsOfTheFutureArriveAsTheyAre() {
        for (int i = 0; i < 256; i++) {
            page.set(ValueLayout.JAVA_BYTE, KVM_RUN.offset("padding") + i, (byte) i);
        }
        assertThat(decode(12345)).isInstanceOfSatisfying(VmExit.Unknown.class, unknown -> {
            assertThat(unknown.reason()).isEqualTo(12345);
            assertThat(unknown.raw().length()).isEqualTo(256);
            assertThat(unknown.raw().at(255)).isEqualTo((byte) 255);
        });
        assertThatThrownBy(() -> answer.give(Bytes.copyOf()))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("vCPU 7 takes no bytes as an answer now: its last exit was Unknown");
    }
}
