package io.github.jkvm.it.machine;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.IoHandler;
import io.github.jkvm.machine.Board;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineBuilder;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.MachineExit.Reason;
import io.github.jkvm.machine.boot.KernelImage;
import io.github.jkvm.testkit.RequiresKvm;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@RequiresKvm
@Timeout(60)
class MachineTest {
    private static final Duration SOON = Duration.ofSeconds(30);

    private static Hypervisor hypervisor;

    @BeforeAll
    static void open() {
        hypervisor = Hypervisor.open();
    }

    @AfterAll
    static void close() {
        hypervisor.close();
    }

    private static MachineBuilder micro(KernelImage guest) {
        return Machine.builder(hypervisor).board(Board.MICRO).memory(64 << 10).kernel(guest);
    }

    private static MachineExit run(MachineBuilder builder) throws InterruptedException {
        try (Machine machine = builder.build()) {
            machine.start();
            return machine.awaitExit(SOON);
        }
    }

    @Test
    void guestPrintsAndGivesAnExitCode() throws Exception {
        try (Machine machine = micro(Guests.HELLO).build()) {
            machine.start();
            MachineExit exit = machine.awaitExit(SOON);
            assertThat(exit.reason()).isEqualTo(Reason.EXIT_CODE);
            assertThat(exit.exitCode()).hasValue(7);
            assertThat(machine.exit()).contains(exit);
            assertThat(machine.console().output().readAllBytes())
                    .asString(US_ASCII)
                    .isEqualTo("Hi");
        }
    }

    @Test
    void outputGoesToTheStreamGiven() throws Exception {
        var output = new ByteArrayOutputStream();
        assertThat(run(micro(Guests.HELLO).consoleOutput(output)).reason()).isEqualTo(Reason.EXIT_CODE);
        assertThat(output).hasToString("Hi");
    }

    @Test
    void haltEndsTheMicroBoard() throws Exception {
        try (Machine machine = micro(Guests.HALT).build()) {
            machine.start();
            assertThat(machine.awaitExit().reason()).isEqualTo(Reason.HALT);
            assertThat(machine.vcpus().getFirst().registers().rip()).isEqualTo(Guests.LOAD + 1);
        }
    }

    @Test
    void everyVCpuRunsAndTheLastHaltEnds() throws Exception {
        try (Machine machine = micro(Guests.MARK_APIC_ID).vcpus(3).build()) {
            machine.start();
            assertThat(machine.awaitExit(SOON).reason()).isEqualTo(Reason.HALT);
            assertThat(machine.memory().read(Guests.RESULT, 4)).containsExactly(1, 1, 1, 0);
        }
    }

    @Test
    void echoesWhatTheHostTypes() throws Exception {
        Machine machine = micro(Guests.ECHO).build();
        try (machine) {
            machine.start();
            machine.console().input().write("the quick brown fox\u001b".getBytes(US_ASCII));
            assertThat(machine.awaitExit(SOON).reason()).isEqualTo(Reason.HALT);
            assertThat(machine.console().output().readAllBytes())
                    .asString(US_ASCII)
                    .isEqualTo("the quick brown fox");
        }
        assertThatThrownBy(() -> machine.console().input().write(1)).isInstanceOf(IOException.class);
    }

    @Test
    void awaitExitStopsAGuestThatTakesTooLong() throws Exception {
        try (Machine machine = micro(Guests.SPIN).build()) {
            machine.start();
            MachineExit exit = machine.awaitExit(Duration.ofMillis(50));
            assertThat(exit.reason()).isEqualTo(Reason.DEADLINE);
            assertThat(exit.detail()).isEqualTo("still ran after PT0.05S");
            assertThat(machine.awaitExit()).as("the first end counts").isEqualTo(exit);
        }
    }

    @Test
    void tellsForHowLongTheProcessorsWorkedAlsoAfterwards() throws Exception {
        try (Machine machine = micro(Guests.SPIN).vcpus(2).build()) {
            assertThat(machine.cpuTime()).isZero();
            machine.start();
            while (machine.cpuTime().compareTo(Duration.ofMillis(40)) < 0) {
                Thread.onSpinWait();
            }
            machine.stop();
            machine.awaitExit();
            assertThat(machine.cpuTime()).isGreaterThanOrEqualTo(Duration.ofMillis(40));
        }
    }

    @Test
    void deadlineEndsTheRun() throws Exception {
        MachineExit exit = run(micro(Guests.SPIN).deadline(Duration.ofMillis(50)));
        assertThat(exit.reason()).isEqualTo(Reason.DEADLINE);
        assertThat(exit.detail()).isEqualTo("ran for PT0.05S");
    }

    @Test
    void tripleFaultEndsTheRun() throws Exception {
        MachineExit exit = run(micro(Guests.TRIPLE_FAULT));
        assertThat(exit.reason()).isEqualTo(Reason.TRIPLE_FAULT);
        assertThat(exit.detail())
                .satisfiesAnyOf(
                        detail -> assertThat(detail)
                                .contains("rip    0000000000001000")
                                .contains("code 0f 0b"),
                        detail -> assertThat(detail).endsWith("(the host has reset the vCPU, its registers are lost)"));
    }

    @Test
    void guestThatRunsOffTheMemoryIsAnErrorWithRegisters() throws Exception {
        MachineExit exit = run(micro(Guests.LOST));
        assertThat(exit.reason()).isEqualTo(Reason.ERROR);
        assertThat(exit.detail())
                .contains("vCPU 0: stopped with")
                .contains("rip    ")
                .contains("cs e000");
    }

    @Test
    void pausedGuestStandsStill() throws Exception {
        try (Machine machine = micro(Guests.COUNT).vcpus(2).build()) {
            LongSupplier count = () -> machine.memory().readInt(Guests.RESULT);
            machine.start();
            awaitChange(count, 0);
            for (int i = 0; i < 20; i++) {
                machine.pause();
                machine.pause();
                assertThat(machine.isPaused()).isTrue();
                long before = count.getAsLong();
                long rip = machine.vcpus().getFirst().registers().rip();
                assertThat(rip).isBetween(Guests.LOAD, Guests.LOAD + 6);
                assertThat(count.getAsLong()).isEqualTo(before);
                machine.resume();
                assertThat(machine.isPaused()).isFalse();
                awaitChange(count, before);
            }
            machine.stop();
            assertThat(machine.awaitExit(SOON).reason()).isEqualTo(Reason.STOPPED);
        }
    }

    @Test
    void pausedMachineCanBeStopped() throws Exception {
        try (Machine machine = micro(Guests.SPIN).build()) {
            machine.pause();
            machine.start();
            machine.stop();
            assertThat(machine.awaitExit(SOON).reason()).isEqualTo(Reason.STOPPED);
            machine.pause();
            machine.resume();
            assertThat(machine.isPaused()).isFalse();
        }
    }

    private static void awaitChange(LongSupplier value, long from) {
        long end = System.nanoTime() + SOON.toNanos();
        while (value.getAsLong() == from) {
            assertThat(System.nanoTime()).as("the guest goes on").isLessThan(end);
            Thread.onSpinWait();
        }
    }

    /** A device whose one port runs code of the test on the vCPU's thread. */
    private static final class Hook implements Device {
        private final Runnable action;

        Hook(Runnable action) {
            this.action = action;
        }

        @Override
        public String name() {
            return "hook";
        }

        @Override
        public void attach(Bus bus) {
            IoHandler handler = new IoHandler() {
                @Override
                public long read(long offset, int size) {
                    action.run();
                    return 0;
                }

                @Override
                public void write(long offset, int size, long value) {}
            };
            bus.claimPorts(0x700, 1, handler, name());
        }

        @Override
        public void close() {}
    }

    @Test
    void deviceThatThrowsEndsTheMachineWithItsException() throws Exception {
        var failure = new IllegalStateException("device is broken");
        MachineExit exit = run(micro(Guests.READ_PORT_700).device(new Hook(() -> {
            throw failure;
        })));
        assertThat(exit.reason()).isEqualTo(Reason.ERROR);
        assertThat(exit.cause()).isSameAs(failure);
        assertThat(exit.detail()).contains("device is broken");
    }

    @Test
    void deviceMayStopPauseAndCloseItsMachine() throws Exception {
        var machine = new AtomicReference<Machine>();
        machine.set(micro(Guests.READ_PORT_700)
                .device(new Hook(() -> {
                    machine.get().pause();
                    machine.get().resume();
                    machine.get().close();
                }))
                .build());
        machine.get().start();
        assertThat(machine.get().awaitExit(SOON).reason()).isEqualTo(Reason.STOPPED);
        machine.get().close();
        assertThatThrownBy(() -> machine.get().vcpus().getFirst().registers())
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void everyThreadMayCloseWhileTheGuestRuns() throws Exception {
        Machine machine = micro(Guests.SPIN).vcpus(2).build();
        machine.start();
        var ready = new CountDownLatch(4);
        var closers = new CompletableFuture<?>[4];
        for (int i = 0; i < closers.length; i++) {
            closers[i] = CompletableFuture.runAsync(
                    () -> {
                        ready.countDown();
                        try {
                            ready.await();
                        } catch (InterruptedException e) {
                            throw new AssertionError(e);
                        }
                        machine.close();
                    },
                    task -> Thread.ofPlatform().start(task));
        }
        CompletableFuture.allOf(closers).get(30, TimeUnit.SECONDS);
        assertThat(machine.exit().orElseThrow().reason()).isEqualTo(Reason.STOPPED);
    }

    @Test
    void machineThatWasStoppedDoesNotStart() {
        try (Machine machine = micro(Guests.HALT).build()) {
            assertThatThrownBy(machine::awaitExit).hasMessageContaining("call start() first");
            machine.stop();
            assertThatThrownBy(machine::start).hasMessageContaining("stopped before it was started");
        }
    }

    @Test
    void clashOfDevicesNamesBothAndLeavesNothing() {
        int before = hypervisorThreads();
        var device = new Hook(() -> {});
        var other = new Hook(() -> {});
        assertThatThrownBy(() -> micro(Guests.HALT).device(device).device(other).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("hook claims 0x700..0x700, but hook has 0x700..0x700");
        assertThat(hypervisorThreads()).isEqualTo(before);
    }

    private static int hypervisorThreads() {
        return (int) Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().startsWith("vm-"))
                .count();
    }
}
