package io.github.jkvm.testkit;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Bytes;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.scripted.GuestProgram;
import io.github.jkvm.testkit.scripted.ScriptedHypervisor;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What a micro-guest makes of its exits, on a host without KVM: the guest's code is never executed, a program in Java stands for it. */
class MicroGuestOnScriptTest {
    private static final int SERIAL = 0x3F8;
    private static final int CHUNK = 1 << 16;
    private static final long FLOOD = 100_000_000;

    private static MicroGuest guest(ScriptedHypervisor hypervisor) {
        return MicroGuest.builder().hypervisor(hypervisor).build(Assembler::hlt);
    }

    private static Bytes chunk() {
        byte[] text = new byte[CHUNK];
        Arrays.fill(text, (byte) 'x');
        return Bytes.copyOf(text);
    }

    private static long heapUsed() {
        System.gc();
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }

    @Test
    void aGuestThatPrints100MegabytesAndHangsGivesItsMessageAndTakesNoMemory() {
        GuestProgram flood = guest -> {
            Bytes chunk = chunk();
            for (long left = FLOOD; left > 0; left -= CHUNK) {
                guest.portOut(SERIAL, 1, chunk);
            }
            guest.portOut(SERIAL, "the end");
            guest.portOut(MicroGuest.REPORT_PORT, 1, 1);
            guest.spin();
        };
        long printed = (FLOOD + CHUNK - 1) / CHUNK * CHUNK + "the end".length();
        try (var hypervisor = ScriptedHypervisor.running(flood);
                MicroGuest guest = guest(hypervisor)) {
            long before = heapUsed();

            assertThat(guest.run(Duration.ofMinutes(1))).isEqualTo(new GuestStop.Reported(1));
            long growth = heapUsed() - before;

            assertThat(guest.printed(Port.SERIAL)).isEqualTo(printed);
            assertThat(guest.exits().count(ExitKind.PORT_OUT)).isEqualTo(printed + 1);
            assertThat(growth).as("bytes that the heap grew by").isLessThan(4 << 20);
            assertThatThrownBy(() -> assertThat(guest).haltsWithin(Duration.ofMillis(50)))
                    .isInstanceOf(AssertionError.class)
                    .hasMessageContaining("to halt within 50 ms, but it stopped by force")
                    .hasMessageContaining("serial port: " + printed + " bytes")
                    .hasMessageContaining("the end")
                    .satisfies(failure -> assertThat(failure.getMessage()).hasSizeLessThan(10_000));
        }
    }

    @Test
    void aFloodIsStoppedByTheDeadline() {
        GuestProgram flood = guest -> {
            Bytes chunk = chunk();
            while (true) {
                guest.portOut(SERIAL, 1, chunk);
            }
        };
        try (var hypervisor = ScriptedHypervisor.running(flood);
                MicroGuest guest = guest(hypervisor)) {
            Duration limit = Duration.ofMillis(200);
            assertThat(guest.run(limit)).isEqualTo(new GuestStop.RanOutOfTime(limit));
            assertThat(guest.printed(Port.SERIAL)).isPositive();
        }
    }

    @Test
    void reportsStopTheGuestOneByOne() {
        GuestProgram reports = guest -> {
            guest.portOut(MicroGuest.REPORT_PORT, 1, 0xAA);
            guest.portOut(0xE9, "text");
            guest.portOut(MicroGuest.REPORT_PORT, 4, 0x8000_0001L);
        };
        try (var hypervisor = ScriptedHypervisor.running(reports);
                MicroGuest guest = guest(hypervisor)) {
            assertThat(guest).reports(0xAA);
            assertThat(guest.text(Port.DEBUG)).isEmpty();
            assertThat(guest).reports(0x8000_0001).hasPrinted("text");
            assertThatThrownBy(() -> assertThat(guest).reports(3))
                    .hasMessageContaining("to report 0x3 within 10 s, but it stopped by a halt instruction");
            assertThat(guest.lastStop()).isEqualTo(new GuestStop.Halted());
        }
    }

    @Test
    void theVmIsPreparedBeforeItHasAProcessor() {
        AtomicInteger prepared = new AtomicInteger();
        GuestProgram waiting = guest -> {
            guest.waitForInterrupt();
            guest.portOut(MicroGuest.REPORT_PORT, 1, 4);
        };
        try (var hypervisor = ScriptedHypervisor.running(waiting)) {
            MicroGuestBuilder builder = MicroGuest.builder()
                    .hypervisor(hypervisor)
                    .prepare(vm -> {
                        assertThat(vm.vcpus()).isEmpty();
                        vm.createIrqChip();
                        prepared.incrementAndGet();
                    });
            try (MicroGuest guest = builder.build(Assembler::hlt)) {
                guest.vm().interruptLine(4).pulse();
                assertThat(guest).reports(4);
            }
            assertThat(prepared).hasValue(1);
            assertThatThrownBy(() -> builder.prepare(vm -> {
                                throw new IllegalStateException("refused");
                            })
                            .build())
                    .hasMessage("refused");
        }
    }
}
