package io.github.jkvm.it;

import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.AX;
import static io.github.jkvm.testkit.asm.Reg32.EAX;
import static io.github.jkvm.testkit.asm.Reg32.EBX;
import static io.github.jkvm.testkit.asm.Reg32.ECX;
import static io.github.jkvm.testkit.asm.Reg32.EDX;
import static io.github.jkvm.testkit.asm.Reg64.RAX;
import static io.github.jkvm.testkit.asm.Reg64.RBX;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.jkvm.Bytes;
import io.github.jkvm.Capability;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmVCpu;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Mode;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Exits of a processor, beside those that {@link KvmContractTest} has for every hypervisor. */
@MicroVm(mode = EntryMode.REAL16)
class RunLoopTest {
    private static final Duration LONG = Duration.ofSeconds(60);
    private static final int MSR = 0x4B00_1234;
    private static final int GENERAL_PROTECTION = 13;

    @Test
    void returnsMmioOfEightBytes(@MicroVm MicroGuest guest) {
        guest.load(code -> code.mov(EBX, 0xD000_0010L)
                .mov(RAX, mem(RBX))
                .mov(mem(RBX), RAX)
                .hlt());

        assertThat(guest.vcpu().run(LONG)).isEqualTo(new VmExit.MmioRead(GuestAddress.of(0xD000_0010L), 8));
        guest.vcpu().respond(0x8877665544332211L);
        assertThat(guest.vcpu().run(LONG)).isInstanceOfSatisfying(VmExit.MmioWrite.class, write -> {
            assertThat(write.data().length()).isEqualTo(8);
            assertThat(write.data().toLong()).isEqualTo(0x8877665544332211L);
        });
        assertThat(guest.vcpu().run(LONG)).isEqualTo(new VmExit.Halt());
    }

    @Test
    void finishesPendingAccessBeforeStateIsRead(MicroGuest guest) {
        guest.load(code -> code.mov(AX, 0).in(AL, 0x11).hlt());

        assertThat(guest.vcpu().run(LONG)).isInstanceOf(VmExit.PortIn.class);
        guest.vcpu().respond(0x77);
        assertThat(guest.registers().rax() & 0xFFFF).isEqualTo(0x77);
        assertThat(guest.registers().rip()).as("behind both instructions").isEqualTo(MicroGuest.CODE_16 + 5);
        assertThat(guest.vcpu().run(LONG)).isEqualTo(new VmExit.Halt());
    }

    @Test
    void returnsInternalErrorWhenTheGuestRunsWhereThereIsNoMemory(
            @MicroVm(mode = EntryMode.REAL16, memory = 0x2_0000) MicroGuest guest) {
        guest.load(code -> code.jmpFar16(0x2000, 0));

        assertThat(guest.vcpu().run(LONG))
                .isInstanceOfSatisfying(
                        VmExit.InternalError.class,
                        error -> assertThat(error.suberror()).isEqualTo(1));
    }

    @Test
    @RequiresKvm(Capability.X86_USER_SPACE_MSR)
    void anMsrAccessThatIsNotAnsweredFaults(MicroGuest guest) {
        guest.load(code -> code.mov(ECX, MSR).rdmsr().hlt());
        guest.vm().setMsrExits(Set.of(X86Vm.MsrExitReason.UNKNOWN, X86Vm.MsrExitReason.INVALID));
        int handler = 0x300;
        new Assembler(Mode.BITS16, handler).hlt().assemble().load(guest.memory());
        guest.memory().writeShort(GENERAL_PROTECTION * 4, (short) handler);

        assertThat(guest.vcpu().run(LONG)).isInstanceOfSatisfying(VmExit.ReadMsr.class, read -> {
            assertThat(read.index()).isEqualTo(MSR);
            assertThat(read.reason()).isIn(1, 2);
        });
        assertThat(guest.vcpu().run(LONG)).isEqualTo(new VmExit.Halt());
        assertThat(guest.registers().rip()).isEqualTo(handler + 1);
    }

    @Test
    void returnsWhenTheGuestCanTakeAnInterrupt(MicroGuest guest) {
        guest.load(code -> code.cli().out(0x10, AL).sti().jmp(code.here("forever")));
        KvmVCpu vcpu = KvmVCpu.of(guest.vcpu());

        assertThat(vcpu.run(LONG)).isInstanceOf(VmExit.PortOut.class);
        assertThat(vcpu.isReadyForInterrupt()).isFalse();
        vcpu.requestInterruptWindow();
        assertThat(vcpu.run(LONG)).isEqualTo(new VmExit.IrqWindowOpen());
        assertThat(vcpu.isReadyForInterrupt()).isTrue();
        vcpu.cancelInterruptWindow();
        assertThat(vcpu.run(Duration.ofMillis(20))).isEqualTo(new VmExit.DeadlineReached());
    }

    /**
     * KVM_CAP_EXIT_HYPERCALL with KVM_HC_MAP_GPA_RANGE (12): rbx is a page, rcx a number of pages, rdx attributes. KVM patches vmcall to what the host's
     * processor has, at the instruction pointer: the code segment must begin at 0.
     */
    @Test
    @RequiresKvm(Capability.EXIT_HYPERCALL)
    void returnsHypercallsTheHostTakes(MicroGuest guest) {
        guest.load(code -> code.mov(EAX, 12)
                .mov(EBX, 0x1000)
                .mov(ECX, 2)
                .xor(EDX, EDX)
                .vmcall()
                .out(0x10, AX)
                .hlt());
        KvmVm.of(guest.vm()).enableCapability(201, 1L << 12);

        VmExit exit = guest.vcpu().run(Duration.ofSeconds(2));
        assumeFalse(exit instanceof VmExit.DeadlineReached, "PVM patches vmcall over and over");
        assertThat(exit).isInstanceOfSatisfying(VmExit.Hypercall.class, call -> {
            assertThat(call.number()).isEqualTo(12);
            assertThat(call.arguments()).startsWith(0x1000L, 2L, 0L);
            assertThat(call.flags() & 1).isZero();
        });
        guest.vcpu().respond(0x1234);
        assertThat(guest.vcpu().run(LONG))
                .isEqualTo(new VmExit.PortOut(0x10, 2, 1, Bytes.copyOf((byte) 0x34, (byte) 0x12)));
    }
}
