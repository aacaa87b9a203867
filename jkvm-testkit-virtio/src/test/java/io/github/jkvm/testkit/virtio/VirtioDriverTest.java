package io.github.jkvm.testkit.virtio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.IoHandler;
import org.junit.jupiter.api.Test;

/** What a test of a device sees of a good device, of a bad one, and of its own mistakes. */
class VirtioDriverTest {
    private static VirtioDriver started(EchoMmio.Habit habit) {
        VirtioDriver driver = VirtioDriver.attach(new EchoMmio(habit));
        driver.start();
        return driver;
    }

    @Test
    void sendsAChainAndReturnsWhatTheDeviceWrote() {
        try (VirtioDriver driver = started(EchoMmio.Habit.GOOD)) {
            assertThat(driver.send(
                            0, Chain.of().readable(1, 2).readable(3).writable(2).writable(8)))
                    .containsExactly(1, 2, 3);
            assertThat(driver.interrupts()).isOne();
            assertThat(driver.transport().takeInterruptStatus()).isEqualTo(DriverTransport.USED_BUFFER);
            assertThat(driver.transport().takeInterruptStatus()).isZero();
            assertThat(driver.queue(0).chainsInFlight()).isZero();
            assertThat(driver.queue(0).freeDescriptors()).isEqualTo(16);
        }
    }

    @Test
    void goesStepByStep() {
        try (VirtioDriver driver = started(EchoMmio.Habit.GOOD)) {
            Buffer room = driver.buffers().writable(4);
            int id = driver.queue(0).add(driver.buffers().readable((byte) 7), room);
            assertThat(driver.queue(0).takeUsed())
                    .as("before the device is told")
                    .isEmpty();
            driver.kick(0);
            assertThat(driver.queue(0).takeUsed()).contains(new Used(id, 1));
            assertThat(driver.buffers().bytes(room)).containsExactly(7, 0, 0, 0);
        }
    }

    @Test
    void saysThatTheDeviceAsksForAReset() {
        try (VirtioDriver driver = started(EchoMmio.Habit.GOOD)) {
            assertThatExceptionOfType(AssertionError.class)
                    .isThrownBy(() -> driver.send(0, Chain.of().readable(1).broken(ChainDefect.BUFFER_OUTSIDE_MEMORY)))
                    .withMessageContaining("asks for a reset (status 0x4f)");
            assertThat(driver.needsReset()).isTrue();
            driver.start();
            assertThat(driver.send(0, Chain.of().readable(5).writable(1))).containsExactly(5);
        }
    }

    /** Virtio 1.2, 2.7.8.2: "the device MUST set len prior to updating the used idx ... the number of bytes written". */
    @Test
    void refusesALengthThatTheChainHasNoRoomFor() {
        VirtioDriver driver = started(EchoMmio.Habit.SAYS_IT_WROTE_MORE);
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> driver.send(0, Chain.of().readable(1, 2).writable(2)))
                .withMessageContaining("says that it wrote 3 bytes")
                .withMessageContaining("room for 2");
    }

    @Test
    void refusesAChainThatTheDeviceDidNotHave() {
        VirtioDriver driver = started(EchoMmio.Habit.USES_WHAT_IT_HAS_NOT);
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> driver.send(0, Chain.of().readable(1)))
                .withMessageContaining("used chain 1, which it did not have");
    }

    @Test
    void saysThatThereIsNoVirtioDevice() {
        var registers = new Device() {
            @Override
            public String name() {
                return "clock0";
            }

            @Override
            public void attach(Bus bus) {
                bus.claimMmio(
                        GuestAddress.of(0xD000_0000L),
                        0x200,
                        new IoHandler() {
                            @Override
                            public long read(long offset, int size) {
                                return 0x55;
                            }

                            @Override
                            public void write(long offset, int size, long value) {}
                        },
                        name());
            }

            @Override
            public void close() {}
        };
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> VirtioDriver.attach(registers).start())
                .withMessageContaining("no virtio device at 0xd0000000: MagicValue 0x55");
    }

    @Test
    void saysThatADriverThatWasNotStartedHasNoQueues() {
        VirtioDriver driver = VirtioDriver.attach(new EchoMmio(EchoMmio.Habit.GOOD));
        assertThat(driver.offered()).isEqualTo(RingFeatures.VERSION_1 | 1);
        assertThat(driver.queues()).isEmpty();
        assertThatIllegalArgumentException().isThrownBy(() -> driver.queue(0)).withMessageContaining("after start()");
    }

    @Test
    void saysWhatAChainLacks() {
        VirtioDriver driver = started(EchoMmio.Habit.NEVER_ANSWERS);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> driver.queue(0).add())
                .withMessageContaining("needs a buffer");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> driver.post(0, Chain.of().readable(1).broken(ChainDefect.INDIRECT_NESTED)))
                .withMessageContaining("not possible with features");
        for (int i = 0; i < 16; i++) {
            driver.queue(0).add(Buffer.writable(VirtioDriver.BUFFERS, 1));
        }
        assertThatIllegalStateException()
                .isThrownBy(() -> driver.queue(0).add(Buffer.writable(VirtioDriver.BUFFERS, 1)))
                .withMessageContaining("0 of 16 are free");
        assertThatIllegalStateException()
                .isThrownBy(() -> driver.buffers().writable(64 << 20))
                .withMessageContaining("no room for a buffer of 67108864 bytes");
    }

    @Test
    void saysWhatIsBehindNoRegister() {
        VirtioDriver driver = started(EchoMmio.Habit.GOOD);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> driver.config(0x1000, 4))
                .withMessageContaining("0xfeb01100")
                .withMessageContaining("0xfeb00000+0x200 of echo0");
        assertThatIllegalStateException().isThrownBy(driver::pci).withMessageContaining("not on the PCI bus");
    }
}
