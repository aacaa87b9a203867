package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.Bytes;
import io.github.jkvm.Capability;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.X86Vm;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** How exits are returned, answered and handed over. */
public interface ExitContract extends HypervisorContract {

    private static Bytes bytes(int... values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
        }
        return Bytes.copyOf(bytes);
    }

    @Test
    default void returnsPortAccessesAndHaltOneByOne() {
        try (var guest = start(PairedGuest.PORTS)) {
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x10, 1, 1, bytes(0x41)));
            assertThat(guest.run()).isEqualTo(new VmExit.PortIn(0x11, 1, 1));
            guest.vcpu.respond(0x1FF);
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x12, 1, 1, bytes(0xFF)));
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x3F8, 2, 1, bytes(0x34, 0x12)));
            assertThat(guest.run()).isEqualTo(new VmExit.PortIn(0x3F8, 2, 1));
            guest.vcpu.respond(bytes(0xCD, 0xAB));
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x14, 2, 1, bytes(0xCD, 0xAB)));
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x3F8, 4, 1, bytes(0x21, 0x43, 0x65, 0x87)));
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
        }
    }

    @Test
    default void givesAllOnesToAnUnansweredRead() {
        try (var guest = start(PairedGuest.ECHO)) {
            assertThat(guest.run()).isEqualTo(new VmExit.PortIn(0x11, 1, 1));
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x12, 1, 1, bytes(0xFF)));
        }
    }

    @Test
    default void returnsMmioWhereThereIsNoMemory() {
        try (var guest = start(PairedGuest.MMIO)) {
            assertThat(guest.run()).isEqualTo(new VmExit.MmioRead(GuestAddress.of(0x20004), 1));
            guest.vcpu.respond(0x99);
            assertThat(guest.run()).isEqualTo(new VmExit.MmioWrite(GuestAddress.of(0x20008), bytes(0x99, 0x20)));
            assertThat(guest.run()).isEqualTo(new VmExit.MmioRead(GuestAddress.of(0x20010), 4));
            guest.vcpu.respond(bytes(1, 2, 3, 4));
            assertThat(guest.run()).isEqualTo(new VmExit.MmioWrite(GuestAddress.of(0x20020), bytes(1, 2, 3, 4)));
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
        }
    }

    @Test
    default void losesNoExitOfAnInstructionThatLeavesTheGuestTwice() {
        try (var guest = start(PairedGuest.TWO_PAGES)) {
            assertThat(guest.run()).isEqualTo(new VmExit.MmioRead(GuestAddress.of(0x20FFF), 1));
            guest.vcpu.respond(0x11);
            guest.vcpu.registers();
            assertThat(guest.run()).isEqualTo(new VmExit.MmioRead(GuestAddress.of(0x21000), 1));
            guest.vcpu.respond(0x22);
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x12, 2, 1, bytes(0x11, 0x22)));
        }
    }

    @Test
    default void refusesAnswersNobodyAskedFor() {
        try (var guest = start(PairedGuest.ECHO)) {
            assertThatThrownBy(() -> guest.vcpu.respond(1))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 takes no answer now: it has not run yet");
            assertThat(guest.run()).isInstanceOf(VmExit.PortIn.class);
            assertThatThrownBy(() -> guest.vcpu.respond(bytes(1, 2)))
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
            assertThat(guest.run()).isInstanceOf(VmExit.PortOut.class);
            assertThatThrownBy(() -> guest.vcpu.respond(3))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 takes no answer now: its last exit was PortOut");
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
            guest.vcpu.registers();
            assertThatThrownBy(() -> guest.vcpu.respond(bytes(1)))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("vCPU 0 takes no bytes as an answer now: its last exit was Halt");
        }
    }

    @Test
    default void finishesPendingAccessBeforeStateIsRead() {
        try (var guest = start(PairedGuest.ECHO)) {
            assertThat(guest.run()).isInstanceOf(VmExit.PortIn.class);
            guest.vcpu.respond(0x77);
            assertThat(guest.vcpu.registers().rax() & 0xFF).isEqualTo(0x77);
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x12, 1, 1, bytes(0x77)));
        }
    }

    @Test
    default void takesNoAnswerOnceStateWasRead() {
        try (var guest = start(PairedGuest.ECHO)) {
            assertThat(guest.run()).isInstanceOf(VmExit.PortIn.class);
            assertThat(guest.vcpu.registers().rax() & 0xFF).isEqualTo(0xFF);
            assertThatThrownBy(() -> guest.vcpu.respond(1))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage(
                            "vCPU 0 takes no answer now: its last exit was finished, when it was run or its state was read");
        }
    }

    /** What a handler was called with, in order. */
    class Recorder implements ExitHandler {
        final List<String> calls = new ArrayList<>();

        /** Creates one that was not called yet. */
        public Recorder() {}

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
    default void handsPortAccessesToTheHandlerUntilAnotherExit() {
        try (var guest = start(PairedGuest.PORTS)) {
            var recorder = new Recorder();
            assertThat(guest.vcpu.run(recorder, ContractGuest.LONG)).isEqualTo(new VmExit.Halt());
            assertThat(recorder.calls)
                    .containsExactly(
                            "out 10/1=41",
                            "in 11/1",
                            "out 12/1=2",
                            "out 3f8/2=1234",
                            "in 3f8/2",
                            "out 14/2=5",
                            "out 3f8/4=87654321");
        }
    }

    @Test
    default void handsMmioToTheHandlerUntilAnotherExit() {
        try (var guest = start(PairedGuest.MMIO)) {
            var recorder = new Recorder();
            assertThat(guest.vcpu.run(recorder, ContractGuest.LONG)).isEqualTo(new VmExit.Halt());
            assertThat(recorder.calls)
                    .containsExactly("read 20004/1", "write 20008/2=20ff", "read 20010/4", "write 20020/4=ffffffff");
        }
    }

    @Test
    default void handsStringInstructionsOverElementByElement() {
        try (var guest = start(PairedGuest.STRINGS)) {
            var recorder = new Recorder();
            assertThat(guest.vcpu.run(recorder, ContractGuest.LONG)).isEqualTo(new VmExit.Halt());
            assertThat(guest.vm.memory().read(0x100, 5)).containsExactly(1, 2, 3, 4, 5);
            assertThat(recorder.calls)
                    .containsExactly(
                            "in 20/1", "in 20/1", "in 20/1", "in 20/1", "in 20/1", "out 20/2=201", "out 20/2=403");
        }
    }

    @Test
    default void letsAnExceptionOfTheHandlerThroughAndCountsTheReadAsAllOnes() {
        try (var guest = start(PairedGuest.ECHO)) {
            var failing = new Recorder() {
                @Override
                public long portIn(int port, int size) {
                    throw new IllegalStateException("broken device");
                }
            };
            assertThatThrownBy(() -> guest.vcpu.run(failing, ContractGuest.LONG))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("broken device");
            var recorder = new Recorder();
            assertThat(guest.vcpu.run(recorder, ContractGuest.LONG)).isEqualTo(new VmExit.Halt());
            assertThat(recorder.calls).containsExactly("out 12/1=ff");
        }
    }

    @Test
    default void letsAHandlerReadStateButNotRunAgain() {
        try (var guest = start(PairedGuest.OUT_LOOP)) {
            List<Object> seen = new ArrayList<>();
            var handler = new Recorder() {
                @Override
                public void portOut(int port, int size, long value) {
                    seen.add(guest.vcpu.registers().rsp());
                    assertThatThrownBy(guest.vcpu::run)
                            .isInstanceOf(IllegalStateException.class)
                            .hasMessageContaining("runs on this thread")
                            .hasMessageContaining("return from it first");
                    guest.vcpu.interrupt();
                }
            };
            assertThat(guest.vcpu.run(handler, ContractGuest.LONG)).isEqualTo(new VmExit.Interrupted());
            assertThat(seen).containsExactly(0x8000L);
        }
    }

    @Test
    default void returnsMsrAccessesAndTakesTheirAnswers() {
        try (var guest = start(PairedGuest.MSRS)) {
            assumeTrue(guest.vm.supports(Capability.X86_USER_SPACE_MSR), "MSR accesses can't leave the guest");
            guest.vm.setMsrExits(Set.of(X86Vm.MsrExitReason.UNKNOWN, X86Vm.MsrExitReason.INVALID));
            assertThat(guest.run())
                    .isInstanceOfSatisfying(
                            VmExit.ReadMsr.class,
                            read -> assertThat(read.index()).isEqualTo(PairedGuest.MSR));
            guest.vcpu.respond(0xAAAABBBB_CCCCDDDDL);
            assertThat(guest.vcpu.registers().rax() & 0xFFFF_FFFFL).isEqualTo(0xCCCC_DDDDL);
            assertThat(guest.vcpu.registers().rdx() & 0xFFFF_FFFFL).isEqualTo(0xAAAA_BBBBL);
            assertThat(guest.run()).isEqualTo(new VmExit.PortOut(0x10, 2, 1, bytes(0xDD, 0xDD)));
            assertThat(guest.run()).isInstanceOfSatisfying(VmExit.WriteMsr.class, write -> {
                assertThat(write.index()).isEqualTo(PairedGuest.MSR);
                assertThat(write.value()).isEqualTo(0xAAAABBBB_CCCCDDDDL);
            });
            guest.vcpu.respond(0);
            assertThat(guest.run()).isEqualTo(new VmExit.Halt());
        }
    }
}
