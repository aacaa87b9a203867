package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.IoHandler;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.VmBus;
import io.github.jkvm.VmExit;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** A device of one's own, written on the API alone, and the guest that drives it. */
class DeviceOnScriptTest {

    /** Turns text in guest memory into capitals: the guest gives the address, rings, and is interrupted when it is done. */
    private static final class Capitals implements Device {
        static final GuestAddress BASE = GuestAddress.of(0xD000_0000L);
        static final long ADDRESS = 0;
        static final long LENGTH = 4;
        static final long GO = 8;
        static final long STATUS = 12;
        static final int LINE = 10;

        private final CountDownLatch worked = new CountDownLatch(1);
        private volatile int address;
        private volatile int length;
        private volatile int status;

        @Override
        public String name() {
            return "capitals";
        }

        @Override
        public void attach(Bus bus) {
            InterruptLine line = bus.interruptLine(LINE);
            EventLoop loop = bus.eventLoop();
            GuestMemory memory = bus.memory();
            Doorbell go = bus.doorbell(Doorbell.Match.mmio(GuestAddress.of(BASE.value() + GO), 4));
            loop.onRing(go, () -> {
                byte[] text = memory.read(address, length);
                memory.write(
                        address,
                        new String(text, StandardCharsets.US_ASCII)
                                .toUpperCase(java.util.Locale.ROOT)
                                .getBytes(StandardCharsets.US_ASCII));
                status = 1;
                line.raise();
                worked.countDown();
            });
            bus.claimMmio(
                    BASE,
                    0x10,
                    new IoHandler() {
                        @Override
                        public long read(long offset, int size) {
                            int now = status;
                            status = 0;
                            line.lower();
                            return offset == STATUS ? now : OPEN_BUS;
                        }

                        @Override
                        public void write(long offset, int size, long value) {
                            if (offset == ADDRESS) {
                                address = (int) value;
                            } else if (offset == LENGTH) {
                                length = (int) value;
                            }
                        }
                    },
                    name());
        }

        @Override
        public void close() {}
    }

    @Test
    void aDeviceWorksForAScriptedGuestAsItDoesForARealOne() throws InterruptedException {
        long base = Capitals.BASE.value();
        GuestProgram driver = guest -> {
            guest.memory().write(0x800, "shout".getBytes(StandardCharsets.US_ASCII));
            guest.store(base + Capitals.ADDRESS, 4, 0x800);
            guest.store(base + Capitals.LENGTH, 4, 5);
            guest.store(base + Capitals.GO, 4, 1);
            GuestInterrupt interrupt = guest.waitForInterrupt();
            assertThat(interrupt).isEqualTo(new GuestInterrupt.Line(Capitals.LINE));
            assertThat(guest.load(base + Capitals.STATUS, 4)).isEqualTo(1);
            guest.endInterrupt(interrupt);
            assertThat(guest.takeInterrupt()).as("the device lowered its line").isEmpty();
        };
        try (var hypervisor = ScriptedHypervisor.running(driver);
                var device = new Capitals()) {
            var vm = hypervisor.createVm();
            vm.createIrqChip();
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(0x1000));
            var bus = new VmBus(vm, vm.createEventLoop(null));
            device.attach(bus);
            assertThat(vm.createVCpu(0).run(bus, Duration.ofSeconds(60))).isEqualTo(new VmExit.Halt());
            assertThat(vm.memory().read(0x800, 5)).isEqualTo("SHOUT".getBytes(StandardCharsets.US_ASCII));
            assertThat(device.worked.await(60, TimeUnit.SECONDS)).isTrue();
            assertThat(bus.unclaimedAccesses()).isZero();
            assertThat(vm.recordedInterrupts()).containsExactly(new GuestInterrupt.Line(Capitals.LINE));
        }
    }
}
