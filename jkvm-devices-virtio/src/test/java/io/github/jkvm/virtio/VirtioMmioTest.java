package io.github.jkvm.virtio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.DeviceState;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.queue.RingFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The device status, the features and the queues of a device, through the registers of virtio over MMIO. */
class VirtioMmioTest {
    private static final long PLAIN = Feature.mask(Feature.VERSION_1);

    private final EchoDevice device = new EchoDevice(64, 16);

    @ParameterizedTest
    @EnumSource
    void servesChainsOfBothFormats(RingFormat format) {
        VirtioDriver guest = Guests.start(device, format);
        Buffer answer = guest.buffers().writable(4);
        Used used = guest.request(1, guest.buffers().readable((byte) 1, (byte) 2, (byte) 3), answer);
        assertThat(used.length()).isEqualTo(3);
        assertThat(guest.buffers().bytes(answer)).containsExactly(1, 2, 3, 0);
        assertThat(guest.interrupts()).isEqualTo(1);
        assertThat(guest.mmio().register(0x060)).isEqualTo(1);
        guest.mmio().setRegister(0x064, 1);
        assertThat(guest.mmio().register(0x060)).isZero();
        assertThat(device.counters()).containsEntry("chains", 1L).containsEntry("interrupts", 1L);
    }

    /** virtio 1.2, 4.2.2.1: "The device MUST return 0x74726976 in MagicValue. The device MUST return value 0x2 in Version." */
    @Test
    void identifiesItself() {
        VirtioDriver guest = Guests.attach(device);
        assertThat(guest.mmio().register(0)).isEqualTo(0x7472_6976);
        assertThat(guest.mmio().register(4)).isEqualTo(2);
        assertThat(guest.mmio().register(8)).isEqualTo(42);
        assertThat(guest.offered())
                .isEqualTo(Feature.mask(EchoDevice.LOUD)
                        | Feature.mask(Feature.INDIRECT_DESCRIPTORS)
                        | Feature.mask(Feature.EVENT_INDEX)
                        | Feature.mask(Feature.RING_RESET)
                        | PLAIN);
    }

    /** virtio 1.2, 2.2.2: "The device SHOULD accept any valid subset of features the driver accepts, otherwise it MUST fail to set FEATURES_OK". */
    @Test
    void refusesFeaturesThatWereNotOffered() {
        VirtioDriver guest = Guests.attach(device);
        guest.negotiate(PLAIN | Feature.mask(5));
        assertThat(guest.status()).isEqualTo(3);
    }

    /** virtio 1.2, 6.2: "A device MAY fail to operate further if VIRTIO_F_VERSION_1 is not accepted." */
    @Test
    void refusesLegacyDrivers() {
        VirtioDriver guest = Guests.attach(device);
        guest.negotiate(Feature.mask(EchoDevice.LOUD));
        assertThat(guest.status()).isEqualTo(3);
    }

    /** virtio 1.2, 3.1.1: after FEATURES_OK "the driver MUST NOT accept new feature bits after this step". */
    @Test
    void keepsFeaturesOnceTheyAreAgreedOn() {
        VirtioDriver guest = Guests.attach(device);
        guest.negotiate(PLAIN);
        guest.mmio().setRegister(0x024, 0);
        guest.mmio().setRegister(0x020, 1 << EchoDevice.LOUD);
        guest.mmio().setRegister(0x070, 15);
        assertThat(device.hasFeature(EchoDevice.LOUD)).isFalse();
    }

    /** virtio 1.2, 2.1.2: "The device MUST NOT consume buffers or send any used buffer notifications to the driver before DRIVER_OK." */
    @Test
    void touchesNoChainBeforeTheDriverIsReady() {
        VirtioDriver guest = Guests.attach(device);
        guest.negotiate(PLAIN);
        var queue = guest.setUp(0, PLAIN);
        queue.add(guest.buffers().readable((byte) 1));
        guest.kick(0);
        assertThat(queue.takeUsed()).isEmpty();
        guest.mmio().setRegister(0x070, 15);
        assertThat(queue.takeUsed()).isPresent();
    }

    @Test
    void addsStatusBitsInOrderOnly() {
        VirtioDriver guest = Guests.attach(device);
        guest.mmio().setRegister(0x070, 4);
        assertThat(guest.status()).isZero();
        guest.mmio().setRegister(0x070, 2);
        assertThat(guest.status()).isZero();
        guest.mmio().setRegister(0x070, 1);
        guest.mmio().setRegister(0x070, 2);
        assertThat(guest.status()).as("a bit is never taken away").isEqualTo(1);
        guest.mmio().setRegister(0x070, 0x40 | 1);
        assertThat(guest.status()).as("the device's own bit").isEqualTo(1);
    }

    @Test
    void takesQueueRegistersOnlyBetweenFeaturesAndReadiness() {
        VirtioDriver guest = Guests.attach(device);
        guest.mmio().setRegister(0x030, 0);
        guest.mmio().setRegister(0x044, 1);
        assertThat(guest.mmio().register(0x044))
                .as("before features are agreed on")
                .isZero();
        guest.negotiate(PLAIN);
        guest.mmio().setRegister(0x030, 0);
        guest.mmio().setRegister(0x044, 1);
        assertThat(guest.mmio().register(0x044)).isEqualTo(1);
        guest.mmio().setRegister(0x030, 1);
        guest.mmio().setRegister(0x070, 15);
        guest.mmio().setRegister(0x044, 1);
        assertThat(guest.mmio().register(0x044)).as("after the driver is ready").isZero();
        guest.mmio().setRegister(0x030, 2);
        assertThat(guest.mmio().register(0x034))
                .as("of a queue that is not there")
                .isZero();
        guest.mmio().setRegister(0x030, -1);
        assertThat(guest.mmio().register(0x034)).isZero();
    }

    /** virtio 1.2, 2.1.2: "MUST set DEVICE_NEEDS_RESET when it enters an error state that a reset is needed", and notify if DRIVER_OK is set. */
    @ParameterizedTest
    @EnumSource
    void asksForAResetAfterAMalformedChain(RingFormat format) {
        VirtioDriver guest = Guests.start(device, format);
        guest.queue(0).add(Buffer.readable(-4096, 10));
        guest.kick(0);
        assertThat(guest.needsReset()).isTrue();
        assertThat(guest.interrupts()).isEqualTo(1);
        assertThat(guest.mmio().register(0x060)).as("configuration change").isEqualTo(2);
        assertThat(device.counters()).containsEntry("queueFaults", 1L);

        guest.start(PLAIN);
        assertThat(guest.needsReset()).isFalse();
        assertThat(guest.request(0, guest.buffers().readable((byte) 1)).length())
                .isZero();
        assertThat(device.told).containsExactly("activate", "reset", "activate");
    }

    @Test
    void asksForAResetWhenAQueueIsNotInMemory() {
        VirtioDriver guest = Guests.attach(device);
        guest.negotiate(PLAIN);
        guest.mmio().setRegister(0x030, 0);
        guest.mmio().setRegister(0x084, 0x7FFF_FFFF);
        guest.mmio().setRegister(0x044, 1);
        guest.mmio().setRegister(0x070, 15);
        assertThat(guest.needsReset()).isTrue();
        assertThat(guest.mmio().register(0x060)).isEqualTo(2);
    }

    @Test
    void asksForAResetWhenTheDeviceFails() {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        device.fails = true;
        guest.kick(0);
        assertThat(guest.needsReset()).isTrue();
    }

    /** virtio 1.2, 2.6.1.1: a queue that is reset "MUST NOT" be executed further, and can be used again with other parameters. */
    @ParameterizedTest
    @EnumSource
    void resetsOneQueueAlone(RingFormat format) {
        VirtioDriver guest = Guests.start(device, format);
        guest.mmio().setRegister(0x030, 0);
        guest.mmio().setRegister(0x0C0, 1);
        assertThat(guest.mmio().register(0x0C0)).isZero();
        assertThat(guest.mmio().register(0x044)).isZero();
        assertThat(device.told).contains("queue 0 stopped");
        assertThat(guest.request(1, guest.buffers().readable((byte) 1)).length())
                .isZero();

        var again = guest.setUp(0, format == RingFormat.PACKED ? PLAIN | Feature.mask(Feature.PACKED_RING) : PLAIN);
        again.add(guest.buffers().readable((byte) 1));
        guest.kick(0);
        assertThat(again.takeUsed()).isPresent();
    }

    @ParameterizedTest
    @EnumSource
    void countsChainsThatAResetTakesFromTheDevice(RingFormat format) {
        VirtioDriver guest = Guests.start(device, format);
        guest.request(0, guest.buffers().readable((byte) 1));
        device.keeps = true;
        guest.queue(0).add(guest.buffers().readable((byte) 2));
        guest.kick(0);
        assertThat(device.counters()).containsEntry("chains", 1L).containsEntry("chainsDropped", 0L);
        guest.mmio().setRegister(0x070, 0);
        assertThat(device.counters()).containsEntry("chains", 1L).containsEntry("chainsDropped", 1L);
    }

    @Test
    void resetsNoQueueAloneIfThatWasNotAgreedOn() {
        VirtioDriver guest = Guests.attach(device);
        guest.start(PLAIN);
        guest.mmio().setRegister(0x030, 0);
        guest.mmio().setRegister(0x0C0, 1);
        assertThat(guest.mmio().register(0x044)).isEqualTo(1);
    }

    @Test
    void boundsAccessesOfTheConfigurationSpace() {
        VirtioDriver guest = Guests.attach(device);
        assertThat(guest.config(0, 4)).isEqualTo(0x1234_5678);
        assertThat(guest.config(1, 2)).isEqualTo(0x3456);
        assertThat(guest.config(10, 8)).isZero();
        assertThat(guest.config(4000 - 0x100, 8)).isZero();
        guest.setConfig(0, 4, 1);
        assertThat(guest.config(0, 4)).as("not writable").isEqualTo(0x1234_5678);
        guest.setConfig(8, 2, 0x77);
        assertThat(device.told).containsExactly("config 8 119");
        guest.setConfig(10, 8, -1);
        assertThat(guest.config(8, 4)).isEqualTo(0xFFFF_0077L);
    }

    /** virtio 1.2, 4.2.2.1: "The device MUST ... change ConfigGeneration if there is any risk of a device exposing an inconsistent state". */
    @Test
    void countsGenerationsOfTheConfigurationAndTellsTheDriver() {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        int before = guest.mmio().register(0x0FC);
        device.changeConfig(7);
        assertThat(guest.mmio().register(0x0FC)).isNotEqualTo(before);
        assertThat(guest.mmio().register(0x060)).isEqualTo(2);
        assertThat(guest.interrupts()).isEqualTo(1);
    }

    @Test
    void servesNotificationsThatReachTheRegister() {
        VirtioDriver guest = Guests.attach(device);
        guest.start(PLAIN);
        guest.mmio().register(0x050);
        guest.mmio().setRegister(0x050, 99);
        guest.mmio().setRegister(0x050, -1);
        guest.run();
        assertThat(guest.needsReset()).isFalse();
    }

    @ParameterizedTest
    @EnumSource
    void goesOnAfterASaveAndARestore(RingFormat format) {
        VirtioDriver first = Guests.start(device, format);
        first.request(0, first.buffers().readable((byte) 1, (byte) 2));
        first.queue(0).add(first.buffers().readable((byte) 3));
        DeviceState state = first.save();

        var second = new EchoDevice(64, 16);
        VirtioDriver guest = Guests.restoreInto(first, second, state);
        assertThat(guest.queue(0).takeUsed())
                .as("what was available while it was saved")
                .isPresent();
        assertThat(second.remembered).isEqualTo(3);
        assertThat(guest.request(0, guest.buffers().readable((byte) 4)).length())
                .isZero();
    }

    @Test
    void refusesAStateThatDoesNotFit() {
        VirtioDriver first = Guests.start(device, RingFormat.SPLIT);
        DeviceState state = first.save();
        state.putNumber("queue0.size", 3);
        assertThatThrownBy(() -> Guests.restoreInto(first, new EchoDevice(64, 16), state))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Guests.restoreInto(first, new EchoDevice(64, 16, 8), first.save()))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void givesBackAllThatItHoldsWhenClosed() {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        assertThat(guest.bus().held()).isEqualTo(3);
        guest.close();
        guest.close();
        assertThat(guest.bus().held()).isZero();
        assertThat(device.told).containsExactly("activate", "reset", "close");
    }

    @Test
    void isAttachedOnce() {
        VirtioDriver guest = Guests.attach(device);
        assertThatThrownBy(() -> new VirtioMmio(device).attach(guest.bus()))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("echo0");
        assertThat(((VirtioMmio) guest.device()).commandLineParameter())
                .isEqualTo("virtio_mmio.device=4096@0xfeb00000:20");
    }
}
