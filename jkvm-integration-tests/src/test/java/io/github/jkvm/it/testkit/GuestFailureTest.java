package io.github.jkvm.it.testkit;

import static io.github.jkvm.testkit.GuestAssertions.assertThat;
import static io.github.jkvm.testkit.asm.Mem.bytePtr;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static io.github.jkvm.testkit.asm.Reg16.CX;
import static io.github.jkvm.testkit.asm.Reg16.DX;
import static io.github.jkvm.testkit.asm.Reg16.SI;
import static io.github.jkvm.testkit.asm.Reg8.AL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.GuestStop;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.Port;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Assembler;
import io.github.jkvm.testkit.asm.Label;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;

/** What a test author is told when a guest does not do what it should. */
@RequiresKvm
class GuestFailureTest {
    private static final Duration SHORT = Duration.ofMillis(300);

    @Test
    void aHangingGuestIsShownWhereItHangs(@MicroVm(deadline = "300ms") MicroGuest guest) {
        guest.load(code -> code.mov(AL, 'x').out(0xE9, AL).jmp(code.here("forever")));

        assertThatThrownBy(() -> assertThat(guest).halts())
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("to halt within 300 ms, but it stopped by force")
                .hasMessageContaining("rip    0000000000010004")
                .hasMessageContaining("code: 0x10004: eb fe")
                .hasMessageContaining("  > 00010004  ebfe")
                .hasMessageContaining("debug port: 1 bytes\n    | x")
                .hasMessageContaining("port 0xe9 <- 0x78 (1 byte)");
        assertThatThrownBy(guest::run)
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("still runs after 300 ms");
    }

    @Test
    void aTripleFaultIsToldFromAHalt(@MicroVm MicroGuest guest) {
        guest.load(Assembler::ud2); // and no interrupt table

        assertThatThrownBy(() -> assertThat(guest).as("the guest under test").halts())
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("[the guest under test] Expected the guest to halt")
                .hasMessageContaining("but it stopped by a triple fault");
    }

    @Test
    void anAddressWithoutMemoryIsNamed(@MicroVm(mode = EntryMode.PROTECTED32) MicroGuest guest) {
        Consumer<Assembler> store =
                code -> code.mov(bytePtr(mem(0xD000_0000L)), 42).hlt();
        guest.load(store);

        assertThatThrownBy(() -> assertThat(guest).halts())
                .hasMessageContaining("at an address without memory or device: memory 0xd0000000 <- 0x2a (1 byte)");
        guest.load(store);
        assertThat(guest).touchesNothingAt(0xD000_0000L).halts();
    }

    @Test
    void aGuestThatFloodsAPortEndsAtItsDeadlineAndTakesNoMemory(@MicroVm(mode = EntryMode.REAL16) MicroGuest guest) {
        guest.load(code -> {
            code.cld().mov(DX, 0x3F8);
            Label again = code.here("again");
            code.xor(SI, SI).mov(CX, 0xFFFF).rep().outsb().jmp(again);
        });
        var memory = ManagementFactory.getMemoryMXBean();
        System.gc();
        long before = memory.getHeapMemoryUsage().getUsed();

        GuestStop stop = guest.run(Duration.ofSeconds(5));
        System.gc();

        assertThat(stop).isInstanceOf(GuestStop.RanOutOfTime.class);
        assertThat(guest.printed(Port.SERIAL)).as("bytes in 5 seconds").isGreaterThan(1000);
        assertThat(guest.report()).hasSizeLessThan(10_000);
        assertThat(memory.getHeapMemoryUsage().getUsed() - before)
                .as("growth of the heap")
                .isLessThan(8 << 20);
        assertThatThrownBy(() -> assertThat(guest).haltsWithin(SHORT)).hasMessageContaining("the last of them");
    }

    /** Not run by itself: a test that fails. */
    static class FailingCase {
        @MicroVm
        private MicroGuest guest;

        @Test
        void fails() {
            guest.load(code -> code.mov(AL, 'q').out(0xE9, AL).hlt());
            guest.run();
            throw new AssertionError("the test's own reason");
        }
    }

    @Test
    void theReportOfItsGuestsIsAddedToAnyFailure() {
        var listener = new SummaryGeneratingListener();
        LauncherFactory.create()
                .execute(
                        LauncherDiscoveryRequestBuilder.request()
                                .selectors(selectClass(FailingCase.class))
                                .build(),
                        listener);

        assertThat(listener.getSummary().getFailures()).singleElement().satisfies(failure -> {
            assertThat(failure.getException()).hasMessage("the test's own reason");
            assertThat(failure.getException().getSuppressed())
                    .singleElement()
                    .satisfies(state -> assertThat(state.toString())
                            .contains("stopped: by a halt instruction", "rip    0000000000010005", "| q"));
        });
    }

    @Test
    void aGuestWithNothingLoadedSaysSo(@MicroVm MicroGuest guest) {
        assertThatThrownBy(guest::run)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("load a program first");
    }
}
