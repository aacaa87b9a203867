package io.github.jkvm.it;

import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Mem.qwordPtr;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.EBX;
import static io.github.jkvm.testkit.asm.Reg32.ESP;
import static io.github.jkvm.testkit.asm.Reg64.R8;
import static io.github.jkvm.testkit.asm.Reg64.RAX;
import static io.github.jkvm.testkit.asm.Reg64.RBX;
import static io.github.jkvm.testkit.asm.Reg64.RSP;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.VmExit;
import io.github.jkvm.testkit.HostFeature;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.ControlReg;
import io.github.jkvm.testkit.asm.GuestCode;
import io.github.jkvm.testkit.asm.GuestTables;
import io.github.jkvm.testkit.asm.Label;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.testkit.asm.Prelude;
import io.github.jkvm.testkit.asm.Reg16;
import io.github.jkvm.testkit.asm.SegReg;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86VCpu;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Guests that go from real mode to protected and long mode by their own code, as the testkit's prelude writes it. */
@RequiresKvm
class PreludeGuestTest {
    private static final Duration LONG = Duration.ofSeconds(60);
    private static final int REPORT = 0x80;
    private static final int ORIGIN = 0x8000;
    private static final long RAM = 1 << 20;

    @ParameterizedTest
    @CsvSource({"0x0, 0x8000", "0x800, 0x0", "0x7ff, 0x10", "0x123, 0x6dd0"})
    void protectedModeIsReachedByWhateverSegmentTheGuestEnters(String segment, String offset) {
        Assembler a = Prelude.protectedMode().writeTo(new Assembler(Mode.BITS16, ORIGIN));
        a.mov(EAX, ControlReg.CR0).out(REPORT, EAX);
        a.mov(EAX, SegReg.CS).out(REPORT, EAX).mov(EAX, SegReg.SS).out(REPORT, EAX);
        Label add = a.label("add");
        a.push(40)
                .push(2)
                .call(add)
                .out(REPORT, EAX)
                .mov(EAX, ESP)
                .out(REPORT, EAX)
                .hlt();
        a.bind(add).mov(EAX, mem(ESP, 4)).add(EAX, mem(ESP, 8)).ret(8);

        List<Long> reports = run(a, Integer.decode(segment), Integer.decode(offset));
        assertThat(reports.removeFirst() & SpecialRegisters.CR0_PE).isEqualTo(SpecialRegisters.CR0_PE);
        assertThat(reports)
                .containsExactly(
                        (long) GuestTables.CODE32_SELECTOR, (long) GuestTables.DATA_SELECTOR, 42L, Prelude.STACK);
    }

    @Test
    void longModeHas64BitRegistersAStackAndTheMappingAskedFor() {
        Assembler a = Prelude.longMode()
                .identityMap(3)
                .pageTables(0x2_0000)
                .stack(0x3_0000)
                .writeTo(new Assembler(Mode.BITS16, ORIGIN));
        a.mov(RAX, 0x1234_5678_9ABC_DEF0L)
                .push(RAX)
                .pop(R8)
                .shr(R8, 32)
                .mov(RAX, R8)
                .out(REPORT, EAX);
        a.mov(RAX, RSP).out(REPORT, EAX);
        a.mov(EAX, SegReg.CS).out(REPORT, EAX);
        a.str(Reg16.AX).out(REPORT, EAX);
        // Device memory in the last page of the mapping: the exit tells the physical address.
        long last = (3L << 30) - 8;
        a.mov(RBX, last).mov(qwordPtr(mem(RBX)), 0x55).hlt();

        List<VmExit.MmioWrite> writes = new ArrayList<>();
        List<Long> reports = run(a, 0, ORIGIN, writes);
        assertThat(reports).containsExactly(0x1234_5678L, 0x3_0000L, (long) GuestTables.CODE64_SELECTOR, (long)
                GuestTables.TSS_SELECTOR);
        assertThat(writes).singleElement().satisfies(write -> {
            assertThat(write.address().value()).isEqualTo(last);
            assertThat(write.data().toLong()).isEqualTo(0x55);
        });
    }

    @Test
    @RequiresKvm(
            features =
                    HostFeature
                            .LONG_MODE_EXCEPTIONS) // KVM's instruction emulator knows the interrupts of real mode only
    void protectedModeTakesInterruptsAndReturns() {
        Assembler a = new Assembler(Mode.BITS16, ORIGIN);
        Label handler = a.label("handler");
        Prelude.protectedMode().handler(0x30, handler).writeTo(a);
        a.mov(EBX, 1).interrupt(0x30).mov(EAX, EBX).out(REPORT, EAX).hlt();
        a.bind(handler).add(EBX, 6).iretd();
        assertThat(run(a, 0, ORIGIN)).containsExactly(7L);
    }

    @Test
    @RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS)
    void longModeTakesInterruptsAndExceptionsAndReturns() {
        Assembler a = new Assembler(Mode.BITS16, ORIGIN);
        Label interrupt = a.label("interrupt");
        Label invalidOpcode = a.label("invalid opcode");
        Prelude.longMode().handler(0x30, interrupt).handler(6, invalidOpcode).writeTo(a);
        a.mov(RBX, 1).interrupt(0x30).ud2().mov(RAX, RBX).out(REPORT, EAX).hlt();
        a.bind(interrupt).add(RBX, 6).iretq();
        // Past the two bytes of UD2.
        a.bind(invalidOpcode).add(qwordPtr(mem(RSP)), 2).add(RBX, 100).iretq();
        assertThat(run(a, 0, ORIGIN)).containsExactly(107L);
    }

    /** Runs the program from real mode until it halts; returns the 32-bit numbers it wrote to the report port. */
    private static List<Long> run(Assembler a, int segment, int offset) {
        List<VmExit.MmioWrite> writes = new ArrayList<>();
        List<Long> reports = run(a, segment, offset, writes);
        assertThat(writes).isEmpty();
        return reports;
    }

    private static List<Long> run(Assembler a, int segment, int offset, List<VmExit.MmioWrite> writes) {
        GuestCode code = a.assemble();
        List<Long> reports = new ArrayList<>();
        try (Hypervisor hypervisor = Hypervisor.open()) {
            var vm = hypervisor.createVm();
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(RAM));
            // What was in memory before must not matter.
            vm.memory().fill(0, RAM, (byte) 0xA5);
            code.load(vm.memory());
            X86VCpu vcpu = X86VCpu.of(vm.createVCpu(0));
            // Without it the guest may not turn long mode on: KVM lets it set only the bits of EFER that its CPUID has.
            vcpu.setCpuid(X86Hypervisor.of(hypervisor).supportedCpuid());
            vcpu.setSpecialRegisters(vcpu.specialRegisters()
                    .withSegments(
                            Segment.realMode(segment, Segment.TYPE_CODE), Segment.realMode(0x1234, Segment.TYPE_DATA)));
            vcpu.setRegisters(Registers.INITIAL.withRip(offset));
            VmExit exit = vcpu.run(LONG);
            while (!(exit instanceof VmExit.Halt)) {
                switch (exit) {
                    case VmExit.PortOut out -> {
                        assertThat(out.port()).isEqualTo(REPORT);
                        reports.add(out.data().toLong());
                    }
                    case VmExit.MmioWrite write -> writes.add(write);
                    default -> throw new AssertionError(exit + " at " + vcpu.registers() + "\n" + code);
                }
                exit = vcpu.run(LONG);
            }
        }
        return reports;
    }
}
