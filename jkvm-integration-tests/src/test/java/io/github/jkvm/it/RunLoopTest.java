package io.github.jkvm.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.jkvm.Bytes;
import io.github.jkvm.Capability;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmVCpu;
import io.github.jkvm.kvm.KvmVm;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.X86Vm;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

@RequiresKvm
class RunLoopTest {

    @Test
    void returnsPortAccessesAndHaltOneByOne() {
        try (var guest = new RealModeGuest(
                0xB0, 0x41, // mov al, 0x41
                0xE6, 0x10, // out 0x10, al
                0xE4, 0x11, // in al, 0x11
                0xE6, 0x12, // out 0x12, al
                0xBA, 0xF8, 0x03, // mov dx, 0x3f8
                0xB8, 0x34, 0x12, // mov ax, 0x1234
                0xEF, // out dx, ax
                0xED, // in ax, dx
                0x66, 0xEF, // out dx, eax
                0xF4)) { // hlt
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x10, 1, 1, Bytes.copyOf((byte) 0x41)));
            assertThat(guest.run()).isEqualTo(new VmExit.PortIn(0x11, 1, 1));
            guest.vcpu.respond(0x1FF);
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x12, 1, 1, Bytes.copyOf((byte) 0xFF)));
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x3F8, 2, 1, Bytes.copyOf((byte) 0x34, (byte) 0x12)));
            assertThat(guest.run()).isEqualTo(new VmExit.PortIn(0x3F8, 2, 1));
            guest.vcpu.respond(Bytes.copyOf((byte) 0xCD, (byte) 0xAB));
            assertThat(guest.run()).isInstanceOfSatisfying(VmExit.PortOut.class, out -> {
                assertThat(out.size()).isEqualTo(4);
                assertThat(out.data().toLong() & 0xFFFF).isEqualTo(0xABCD);
            });
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
        }
    }

    @Test
    void givesAllOnesToAnUnansweredRead() {
        try (var guest = new RealModeGuest(
                0xE4, 0x11, // in al, 0x11
                0xE6, 0x12, // out 0x12, al
                0xF4)) {
            assertThat(guest.run()).isInstanceOf(VmExit.PortIn.class);
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x12, 1, 1, Bytes.copyOf((byte) 0xFF)));
        }
    }

    @Test
    void returnsMmioOfEverySize() {
        try (var guest = new RealModeGuest(
                0xB8, 0x00, 0x20, // mov ax, 0x2000
                0x8E, 0xD8, // mov ds, ax: DS begins at 0x20000
                0xA0, 0x04, 0x00, // mov al, [4]
                0xA3, 0x08, 0x00, // mov [8], ax
                0x66, 0xA1, 0x10, 0x00, // mov eax, [0x10]
                0x66, 0xA3, 0x20, 0x00, // mov [0x20], eax
                0xF4)) {
            assertThat(guest.run()).isEqualTo(new VmExit.MmioRead(GuestAddress.of(0x20004), 1));
            guest.vcpu.respond(0x99);
            assertThat(guest.run())
                    .isEqualTo(new VmExit.MmioWrite(GuestAddress.of(0x20008), Bytes.copyOf((byte) 0x99, (byte) 0x20)));
            assertThat(guest.run()).isEqualTo(new VmExit.MmioRead(GuestAddress.of(0x20010), 4));
            guest.vcpu.respond(Bytes.copyOf((byte) 1, (byte) 2, (byte) 3, (byte) 4));
            assertThat(guest.run())
                    .isEqualTo(new VmExit.MmioWrite(
                            GuestAddress.of(0x20020), Bytes.copyOf((byte) 1, (byte) 2, (byte) 3, (byte) 4)));
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
        }
    }

    @Test
    void returnsMmioOfEightBytes() {
        try (var guest = new RealModeGuest(
                0xB8, 0x00, 0x20, // mov ax, 0x2000
                0x8E, 0xD8, // mov ds, ax
                0xBB, 0x10, 0x00, // mov bx, 0x10
                0x0F, 0x6F, 0x07, // movq mm0, [bx]
                0x0F, 0x7F, 0x07, // movq [bx], mm0
                0xF4)) {
            VmExit exit = guest.run();
            assumeFalse(exit instanceof VmExit.InternalError, "this KVM can't emulate movq");
            assertThat(exit).isEqualTo(new VmExit.MmioRead(GuestAddress.of(0x20010), 8));
            guest.vcpu.respond(0x8877665544332211L);
            assertThat(guest.run()).isInstanceOfSatisfying(VmExit.MmioWrite.class, write -> {
                assertThat(write.data().length()).isEqualTo(8);
                assertThat(write.data().toLong()).isEqualTo(0x8877665544332211L);
            });
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
        }
    }

    @Test
    void refusesAnswersNobodyAskedFor() {
        try (var guest = new RealModeGuest(
                0xE4, 0x11, // in al, 0x11
                0xF4)) {
            assertThatThrownBy(() -> guest.vcpu.respond(1))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 takes no answer now: it has not run yet");
            assertThat(guest.run()).isInstanceOf(VmExit.PortIn.class);
            assertThatThrownBy(() -> guest.vcpu.respond(Bytes.copyOf((byte) 1, (byte) 2)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("the answer has 2 bytes")
                    .hasMessageContaining("exactly 1");
            assertThatThrownBy(guest.vcpu::respondFault)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 takes no fault as an answer now: its last exit was PortIn");
            guest.vcpu.respond(1);
            assertThatThrownBy(() -> guest.vcpu.respond(2))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 takes no answer now: its last exit has an answer");
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
            assertThatThrownBy(() -> guest.vcpu.respond(3))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 takes no answer now: its last exit was Halt");
        }
    }

    @Test
    void finishesPendingAccessBeforeStateIsRead() {
        try (var guest = new RealModeGuest(
                0xB8, 0x00, 0x00, // mov ax, 0
                0xE4, 0x11, // in al, 0x11
                0xF4)) {
            assertThat(guest.run()).isInstanceOf(VmExit.PortIn.class);
            guest.vcpu.respond(0x77);
            assertThat(guest.vcpu.registers().rax() & 0xFFFF).isEqualTo(0x77);
            assertThat(guest.vcpu.registers().rip()).isEqualTo(0xF005);
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
        }
    }

    @Test
    void takesNoAnswerOnceStateWasRead() {
        try (var guest = new RealModeGuest(
                0xE4, 0x11, // in al, 0x11
                0xE6, 0x12, // out 0x12, al
                0xF4)) {
            assertThat(guest.run()).isInstanceOf(VmExit.PortIn.class);
            assertThat(guest.vcpu.registers().rax() & 0xFF).isEqualTo(0xFF);
            assertThatThrownBy(() -> guest.vcpu.respond(1))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("its last exit was finished");
        }
    }

    @Test
    void losesNoExitOfAnInstructionThatLeavesTheGuestTwice() {
        try (var guest = new RealModeGuest(
                0xB8, 0x00, 0x20, // mov ax, 0x2000
                0x8E, 0xD8, // mov ds, ax
                0xA1, 0xFF, 0x0F, // mov ax, [0xfff]: two bytes on two pages
                0xE7, 0x12, // out 0x12, ax
                0xF4)) {
            assertThat(guest.run()).isEqualTo(new VmExit.MmioRead(GuestAddress.of(0x20FFF), 1));
            guest.vcpu.respond(0x11);
            guest.vcpu.registers();
            assertThat(guest.run()).isEqualTo(new VmExit.MmioRead(GuestAddress.of(0x21000), 1));
            guest.vcpu.respond(0x22);
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x12, 2, 1, Bytes.copyOf((byte) 0x11, (byte) 0x22)));
        }
    }

    /** What a handler was called with, in order. */
    private static class Recorder implements ExitHandler {
        final List<String> calls = new ArrayList<>();

        @Override
        public long portIn(int port, int size) {
            calls.add("in %x/%d".formatted(port, size));
            return calls.size();
        }

        @Override
        public void portOut(int port, int size, long value) {
            calls.add("out %x/%d=%x".formatted(port, size, value));
        }

        @Override
        public long mmioRead(long address, int size) {
            calls.add("read %x/%d".formatted(address, size));
            return -1;
        }

        @Override
        public void mmioWrite(long address, int size, long value) {
            calls.add("write %x/%d=%x".formatted(address, size, value));
        }
    }

    @Test
    void handsPortAndMmioToTheHandlerUntilAnotherExit() {
        try (var guest = new RealModeGuest(
                0xB8, 0x34, 0xF2, // mov ax, 0xf234
                0xE7, 0x10, // out 0x10, ax
                0xE4, 0x11, // in al, 0x11: gets 2
                0xE6, 0x12, // out 0x12, al
                0xB8, 0x00, 0x20, // mov ax, 0x2000
                0x8E, 0xD8, // mov ds, ax
                0xA3, 0x08, 0x00, // mov [8], ax
                0x8A, 0x0E, 0x09, 0x00, // mov cl, [9]
                0x88, 0x0E, 0x0A, 0x00, // mov [10], cl
                0xF4)) {
            var recorder = new Recorder();
            assertThat(guest.vcpu.run(recorder, RealModeGuest.LONG)).isEqualTo(new VmExit.Halt());
            assertThat(recorder.calls)
                    .containsExactly(
                            "out 10/2=f234",
                            "in 11/1",
                            "out 12/1=2",
                            "write 20008/2=2000",
                            "read 20009/1",
                            "write 2000a/1=ff");
        }
    }

    @Test
    void handsStringInstructionsOverElementByElement() {
        try (var guest = new RealModeGuest(
                0xBA, 0x20, 0x00, // mov dx, 0x20
                0xBF, 0x00, 0x01, // mov di, 0x100
                0xB9, 0x05, 0x00, // mov cx, 5
                0xF3, 0x6C, // rep insb
                0xBE, 0x00, 0x01, // mov si, 0x100
                0xB9, 0x02, 0x00, // mov cx, 2
                0xF3, 0x6F, // rep outsw
                0xF4)) {
            var recorder = new Recorder();
            assertThat(guest.vcpu.run(recorder, RealModeGuest.LONG)).isEqualTo(new VmExit.Halt());
            assertThat(guest.vm.memory().read(0x100, 5)).containsExactly(1, 2, 3, 4, 5);
            assertThat(recorder.calls)
                    .containsExactly(
                            "in 20/1", "in 20/1", "in 20/1", "in 20/1", "in 20/1", "out 20/2=201", "out 20/2=403");
        }
    }

    @Test
    void letsAnExceptionOfTheHandlerThroughAndCountsTheReadAsAllOnes() {
        try (var guest = new RealModeGuest(
                0xE4, 0x11, // in al, 0x11
                0xE6, 0x12, // out 0x12, al
                0xF4)) {
            var failing = new Recorder() {
                @Override
                public long portIn(int port, int size) {
                    throw new IllegalStateException("broken device");
                }
            };
            assertThatThrownBy(() -> guest.vcpu.run(failing, RealModeGuest.LONG))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("broken device");
            var recorder = new Recorder();
            assertThat(guest.vcpu.run(recorder, RealModeGuest.LONG)).isEqualTo(new VmExit.Halt());
            assertThat(recorder.calls).containsExactly("out 12/1=ff");
        }
    }

    @Test
    void letsAHandlerReadStateButNotRunAgain() {
        try (var guest = new RealModeGuest(
                0xB0, 0x41, // mov al, 0x41
                0xE6, 0x10, // out 0x10, al
                0xF4)) {
            List<Object> seen = new ArrayList<>();
            var handler = new Recorder() {
                @Override
                public void portOut(int port, int size, long value) {
                    seen.add(guest.vcpu.registers().rax() & 0xFF);
                    assertThatThrownBy(guest.vcpu::run)
                            .isInstanceOf(IllegalStateException.class)
                            .hasMessageContaining("runs on this thread")
                            .hasMessageContaining("return from it first");
                }
            };
            assertThat(guest.vcpu.run(handler, RealModeGuest.LONG)).isEqualTo(new VmExit.Halt());
            assertThat(seen).containsExactly(0x41L);
        }
    }

    @Test
    void returnsShutdownOnATripleFault() {
        try (var guest = new RealModeGuest(
                0x0F, 0x01, 0x1E, 0x00, 0x02, // lidt [0x200]: six zero bytes, so no vector is inside the limit
                0x0F, 0x0B)) { // ud2
            VmExit exit = guest.run();
            assumeFalse(exit instanceof VmExit.InternalError, "a KVM that emulates all of a guest can't emulate ud2");
            assertThat(exit).isEqualTo(new VmExit.Shutdown());
        }
    }

    @Test
    void returnsInternalErrorWhenTheGuestRunsWhereThereIsNoMemory() {
        try (var guest = new RealModeGuest(0xEA, 0x00, 0x00, 0x00, 0x20)) { // jmp 0x2000:0
            assertThat(guest.run())
                    .isInstanceOfSatisfying(
                            VmExit.InternalError.class,
                            error -> assertThat(error.suberror()).isEqualTo(1));
        }
    }

    @Test
    @RequiresKvm(Capability.X86_USER_SPACE_MSR)
    void returnsMsrAccessesAndAnswersOrFaultsThem() {
        try (var guest = new RealModeGuest(
                0x66, 0xB9, 0x34, 0x12, 0x00, 0x4B, // mov ecx, 0x4b001234
                0x0F, 0x32, // rdmsr
                0xE7, 0x10, // out 0x10, ax
                0x0F, 0x30, // wrmsr
                0xF4, 0x0F, 0x32)) { // rdmsr
            guest.vm.setMsrExits(Set.of(X86Vm.MsrExitReason.UNKNOWN, X86Vm.MsrExitReason.INVALID));
            assertThat(guest.run()).isInstanceOfSatisfying(VmExit.ReadMsr.class, read -> {
                assertThat(read.index()).isEqualTo(0x4B001234);
                assertThat(read.reason()).isIn(1, 2);
            });
            guest.vcpu.respond(0xAAAABBBB_CCCCDDDDL);
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x10, 2, 1, Bytes.copyOf((byte) 0xDD, (byte) 0xDD)));
            assertThat(guest.run()).isInstanceOfSatisfying(VmExit.WriteMsr.class, write -> {
                assertThat(write.index()).isEqualTo(0x4B001234);
                assertThat(write.value()).isEqualTo(0xAAAABBBB_CCCCDDDDL);
            });
            guest.vcpu.respond(0);
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
            assertThat(guest.run()).isInstanceOf(VmExit.ReadMsr.class);
            // No answer: the guest gets a general protection fault, whose handler is at 0:0 in this empty interrupt
            // table.
            guest.vm.memory().writeByte(0x300, (byte) 0xF4);
            guest.vm.memory().writeShort(13 * 4, (short) 0x300);
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
            assertThat(guest.vcpu.registers().rip()).isEqualTo(0x301);
        }
    }

    @Test
    void returnsWhenTheGuestCanTakeAnInterrupt() {
        try (var guest = new RealModeGuest(
                0xFA, // cli
                0xE6, 0x10, // out 0x10, al
                0xFB, // sti
                0xEB, 0xFE)) { // jmp to itself
            KvmVCpu vcpu = KvmVCpu.of(guest.vcpu);
            assertThat(guest.run()).isInstanceOf(VmExit.PortOut.class);
            assertThat(vcpu.isReadyForInterrupt()).isFalse();
            vcpu.requestInterruptWindow();
            assertThat(guest.run()).isEqualTo(new VmExit.IrqWindowOpen());
            assertThat(vcpu.isReadyForInterrupt()).isTrue();
            vcpu.cancelInterruptWindow();
            assertThat(guest.vcpu.run(Duration.ofMillis(20))).isEqualTo(new VmExit.DeadlineReached());
        }
    }

    @Test
    @RequiresKvm(Capability.EXIT_HYPERCALL)
    void returnsHypercallsTheHostTakes() {
        // KVM_CAP_EXIT_HYPERCALL with KVM_HC_MAP_GPA_RANGE (12): rbx is a page, rcx a number of pages, rdx attributes.
        // KVM patches vmcall to what the host's processor has, at the instruction pointer: the code segment must begin
        // at 0.
        long entry = 0x2000;
        byte[] code = RealModeGuest.bytes(
                0x66, 0xB8, 0x0C, 0x00, 0x00, 0x00, // mov eax, 12
                0x66, 0xBB, 0x00, 0x10, 0x00, 0x00, // mov ebx, 0x1000
                0x66, 0xB9, 0x02, 0x00, 0x00, 0x00, // mov ecx, 2
                0x66, 0x31, 0xD2, // xor edx, edx
                0x0F, 0x01, 0xC1, // vmcall
                0xE7, 0x10, // out 0x10, ax
                0xF4); // hlt
        try (var guest = new RealModeGuest(0xEA, 0x00, 0x20, 0x00, 0x00)) { // jmp 0:0x2000
            guest.vm.memory().write(entry, code);
            KvmVm.of(guest.vm).enableCapability(201, 1L << 12);
            VmExit exit = guest.vcpu.run(Duration.ofSeconds(2));
            assumeFalse(exit instanceof VmExit.DeadlineReached, "PVM patches vmcall over and over");
            assertThat(exit).isInstanceOfSatisfying(VmExit.Hypercall.class, call -> {
                assertThat(call.number()).isEqualTo(12);
                assertThat(call.arguments()).startsWith(0x1000L, 2L, 0L);
                assertThat(call.flags() & 1).isZero();
            });
            guest.vcpu.respond(0x1234);
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x10, 2, 1, Bytes.copyOf((byte) 0x34, (byte) 0x12)));
        }
    }
}
