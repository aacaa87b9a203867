package io.github.jkvm.virtio;

import static io.github.jkvm.testkit.virtio.PciTransport.COMMON;
import static io.github.jkvm.testkit.virtio.PciTransport.CONFIG_VECTOR;
import static io.github.jkvm.testkit.virtio.PciTransport.DEVICE;
import static io.github.jkvm.testkit.virtio.PciTransport.DRIVER_FEATURES;
import static io.github.jkvm.testkit.virtio.PciTransport.GENERATION;
import static io.github.jkvm.testkit.virtio.PciTransport.ISR;
import static io.github.jkvm.testkit.virtio.PciTransport.NOTIFY;
import static io.github.jkvm.testkit.virtio.PciTransport.NO_VECTOR;
import static io.github.jkvm.testkit.virtio.PciTransport.NUM_QUEUES;
import static io.github.jkvm.testkit.virtio.PciTransport.QUEUE_DESC;
import static io.github.jkvm.testkit.virtio.PciTransport.QUEUE_ENABLE;
import static io.github.jkvm.testkit.virtio.PciTransport.QUEUE_NOTIFY_OFF;
import static io.github.jkvm.testkit.virtio.PciTransport.QUEUE_RESET;
import static io.github.jkvm.testkit.virtio.PciTransport.QUEUE_SELECT;
import static io.github.jkvm.testkit.virtio.PciTransport.QUEUE_SIZE;
import static io.github.jkvm.testkit.virtio.PciTransport.QUEUE_VECTOR;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HostFile;
import io.github.jkvm.IoHandler;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.PciCapability;
import io.github.jkvm.PciIdentity;
import io.github.jkvm.kvm.ffi.EventFd;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.DriverQueue;
import io.github.jkvm.testkit.virtio.PciTransport;
import io.github.jkvm.testkit.virtio.TestBus;
import io.github.jkvm.testkit.virtio.TestPciBus;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.queue.RingFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The PCI transport, driven in the steps of Linux. */
class VirtioPciTest {
    private static final long PLAIN = Feature.mask(Feature.VERSION_1);
    private static final int QUEUES = 2;
    private static final int STATUS_FIELD = PciTransport.STATUS;

    private final EchoDevice device = new EchoDevice(64, 16);

    private VirtioDriver attached() {
        return attached(device);
    }

    private static VirtioDriver attached(VirtioDevice device) {
        var memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, VirtioDriver.MEMORY_BYTES));
        return VirtioDriver.attach(new VirtioPci(device), Guests.bus(memory));
    }

    /** Puts a queue into use with a vector. */
    private static DriverQueue setUp(VirtioDriver guest, int queue, long features, int vector) {
        guest.pci().useVector(queue, vector);
        return guest.setUp(queue, features);
    }

    private static PciCapability capability(VirtioDriver guest, int type) {
        return guest.bus().pci().capability(type).orElseThrow();
    }

    /** The driver of a guest with MSI-X: vector 0 for the configuration, the others for the queues. */
    private VirtioDriver ready(long features) {
        VirtioDriver guest = attached();
        guest.bus().pci().enableVectors();
        guest.negotiate(features);
        guest.pci().setCommon(CONFIG_VECTOR, 2, 0);
        return guest;
    }

    @ParameterizedTest
    @EnumSource
    void servesChainsOfBothFormatsAndSendsTheQueuesVector(RingFormat format) {
        if (format == RingFormat.PACKED) {
            device.offerPackedRings();
        }
        VirtioDriver guest = attached();
        long features = guest.offered();
        guest.bus().pci().enableVectors();
        guest.negotiate(features);
        assertThat(guest.status()).isEqualTo(11);
        setUp(guest, 0, features, 1);
        setUp(guest, 1, features, 2);
        guest.ready();
        Buffer answer = guest.buffers().writable(4);
        assertThat(guest.request(1, guest.buffers().readable((byte) 1, (byte) 2), answer)
                        .length())
                .isEqualTo(2);
        assertThat(guest.buffers().bytes(answer)).containsExactly(1, 2, 0, 0);
        guest.request(0, guest.buffers().readable((byte) 9));
        assertThat(guest.bus().pci().signalled()).containsExactly(2, 1);
        assertThat(guest.bus().pci().isPinHigh()).isFalse();
        assertThat(guest.pci().read(ISR, 0, 1))
                .as("without a meaning with MSI-X")
                .isZero();
    }

    /** virtio 1.2, 4.1.2: vendor 0x1af4, device 0x1040 + id; 4.1.2.1: revision 1 or higher, subsystem 0x40 or higher. */
    @Test
    void identifiesItself() {
        VirtioDriver guest = attached();
        assertThat(guest.bus().pci().function().identity())
                .isEqualTo(new PciIdentity(0x1AF4, 0x1040 + 42, 0x00_FF00, 1, 0x1AF4, 0x1100));
        assertThat(guest.bus().pci().function().vectors()).isEqualTo(QUEUES + 1);
        assertThat(((VirtioPci) guest.device()).slot().device()).isEqualTo(1);
        assertThat(VirtioPci.classCode(1)).isEqualTo(0x02_0000);
        assertThat(VirtioPci.classCode(2)).isEqualTo(0x01_0000);
        assertThat(VirtioPci.classCode(26)).isEqualTo(0x01_8000);
    }

    /** virtio 1.2, 4.1.4: each structure is told of by a vendor-specific capability, with its length, bar, offset and size. */
    @Test
    void tellsWhereItsStructuresAre() {
        VirtioDriver guest = attached();
        int[] lengths = {0, 0x3C, QUEUES * 4, 1, 12};
        for (int type : new int[] {COMMON, NOTIFY, ISR, DEVICE}) {
            PciCapability capability = capability(guest, type);
            assertThat(capability.registers().read(0, 1)).as("cap_len").isEqualTo(capability.length() + 2);
            assertThat(capability.registers().read(2, 1)).as("bar").isZero();
            assertThat(capability.registers().read(10, 4)).as("length").isEqualTo(lengths[type]);
            assertThat(guest.pci().address(type, 0) % 4).isZero();
            assertThat(guest.pci().address(type, 0) - TestPciBus.REGISTERS + lengths[type])
                    .isLessThanOrEqualTo(
                            guest.bus().pci().function().bars().get(0).size());
        }
        assertThat(capability(guest, NOTIFY).registers().read(14, 4)).isEqualTo(4);
    }

    /** virtio 1.2, 4.1.4.6.1: only "for any device type which has a device-specific configuration". */
    @Test
    void hasNoDeviceConfigurationIfTheDeviceHasNone() {
        var bare = new VirtioDevice("bare0", 4, new ConfigSpace(0), 8) {
            @Override
            protected void notified(DeviceQueue queue) {}
        };
        assertThat(attached(bare).bus().pci().capability(DEVICE)).isEmpty();
    }

    @Test
    void tellsOfItsQueues() {
        VirtioDriver guest = ready(PLAIN);
        assertThat(guest.pci().common(NUM_QUEUES, 2)).isEqualTo(QUEUES);
        guest.pci().setCommon(QUEUE_SELECT, 2, 1);
        assertThat(guest.pci().common(QUEUE_SIZE, 2)).isEqualTo(16);
        assertThat(guest.pci().common(QUEUE_NOTIFY_OFF, 2)).isEqualTo(1);
        assertThat(guest.pci().common(QUEUE_VECTOR, 2)).isEqualTo(NO_VECTOR);
        for (int missing : new int[] {QUEUES, 0xFFFF}) {
            guest.pci().setCommon(QUEUE_SELECT, 2, missing);
            assertThat(guest.pci().common(QUEUE_SIZE, 2))
                    .as("queue is unavailable")
                    .isZero();
            guest.pci().setCommon(QUEUE_VECTOR, 2, 1);
            assertThat(guest.pci().common(QUEUE_VECTOR, 2)).isEqualTo(NO_VECTOR);
            guest.pci().setCommon(QUEUE_ENABLE, 2, 1);
            assertThat(guest.pci().common(QUEUE_ENABLE, 2)).isZero();
        }
    }

    /**
     * virtio 1.2, 4.1.5.1.2.1: "Device MUST support mapping any event type to any valid vector 0 to MSI-X Table Size"; "Device MUST support
     * unmapping any event type"; a mapping that fails reads back as NO_VECTOR.
     */
    @Test
    void mapsEventsToVectors() {
        VirtioDriver guest = ready(PLAIN);
        guest.pci().setCommon(QUEUE_SELECT, 2, 0);
        for (int vector = 0; vector <= QUEUES; vector++) {
            guest.pci().setCommon(QUEUE_VECTOR, 2, vector);
            guest.pci().setCommon(CONFIG_VECTOR, 2, vector);
            assertThat(guest.pci().common(QUEUE_VECTOR, 2)).isEqualTo(vector);
            assertThat(guest.pci().common(CONFIG_VECTOR, 2)).isEqualTo(vector);
        }
        guest.pci().setCommon(QUEUE_VECTOR, 2, QUEUES + 1);
        assertThat(guest.pci().common(QUEUE_VECTOR, 2)).isEqualTo(NO_VECTOR);
        guest.pci().setCommon(CONFIG_VECTOR, 2, NO_VECTOR);
        assertThat(guest.pci().common(CONFIG_VECTOR, 2)).isEqualTo(NO_VECTOR);
        setUp(guest, 0, PLAIN, NO_VECTOR);
        guest.ready();
        guest.request(0, guest.buffers().readable((byte) 1));
        device.changeConfig(1);
        assertThat(guest.bus().pci().signalled())
                .as("events of no vector interrupt nobody")
                .isEmpty();
        assertThat(guest.bus().pci().isPinHigh()).isFalse();
        guest.pci().setCommon(QUEUE_VECTOR, 2, 2);
        guest.pci().setCommon(STATUS_FIELD, 1, 0);
        assertThat(guest.pci().common(CONFIG_VECTOR, 2)).as("after a reset").isEqualTo(NO_VECTOR);
        assertThat(guest.pci().common(QUEUE_VECTOR, 2)).isEqualTo(NO_VECTOR);
    }

    @Test
    void tellsOfAChangedConfigurationAndCountsItsGenerations() {
        VirtioDriver guest = ready(PLAIN);
        guest.ready();
        int before = guest.pci().common(GENERATION, 1);
        device.changeConfig(7);
        assertThat(guest.pci().common(GENERATION, 1)).isNotEqualTo(before).isBetween(0, 255);
        assertThat(guest.bus().pci().signalled()).containsExactly(0);
        assertThat(guest.pci().read(DEVICE, 0, 4)).isEqualTo(7);
        guest.pci().write(DEVICE, 8, 4, 5);
        guest.loop().run();
        assertThat(device.told).contains("config 8 5");
        assertThat(guest.pci().read(DEVICE, 12, 8))
                .as("beyond the configuration")
                .isZero();
    }

    /** virtio 1.2, 4.1.4.5.1: "set before sending a device configuration change notification"; read to clear; the pin is lowered. */
    @Test
    void interruptsByThePinWithoutMsix() {
        VirtioDriver guest = attached();
        guest.negotiate(PLAIN);
        setUp(guest, 0, PLAIN, NO_VECTOR);
        guest.ready();
        guest.request(0, guest.buffers().readable((byte) 1));
        assertThat(guest.bus().pci().isPinHigh()).isTrue();
        device.changeConfig(1);
        assertThat(guest.pci().read(ISR, 0, 1)).isEqualTo(3);
        assertThat(guest.bus().pci().isPinHigh()).isFalse();
        assertThat(guest.pci().read(ISR, 0, 1)).isZero();
        assertThat(guest.bus().pci().signalled()).isEmpty();
        device.changeConfig(2);
        guest.pci().setCommon(STATUS_FIELD, 1, 0);
        assertThat(guest.bus().pci().isPinHigh()).as("after a reset").isFalse();
    }

    @Test
    void takesFieldsOfSixtyFourBitsInHalvesOrAtOnce() {
        VirtioDriver guest = ready(PLAIN);
        guest.pci().setCommon(QUEUE_SELECT, 2, 0);
        guest.pci().setCommon(QUEUE_DESC, 4, 0x1122_3344);
        guest.pci().setCommon(QUEUE_DESC + 4, 4, 0x5566_7788);
        assertThat(guest.pci().read(COMMON, QUEUE_DESC, 8)).isEqualTo(0x5566_7788_1122_3344L);
        guest.pci().setCommon(QUEUE_DESC + 8, 8, 0x0102_0304_0506_0708L);
        assertThat(guest.pci().common(QUEUE_DESC + 12, 4)).isEqualTo(0x0102_0304);
        assertThat(guest.pci().common(QUEUE_DESC + 8, 4)).isEqualTo(0x0506_0708);
    }

    /** virtio 1.2, 4.1.3.1: fields are accessed in their own width; what a driver must not do is harmless here. */
    @Test
    void accessesOfAnotherWidthReadZeroAndChangeNothing() {
        VirtioDriver guest = ready(PLAIN);
        assertThat(guest.pci().common(STATUS_FIELD, 2)).isZero();
        assertThat(guest.pci().read(COMMON, 0x10, 8)).isZero();
        assertThat(guest.pci().common(QUEUE_DESC + 2, 4)).isZero();
        guest.pci().setCommon(STATUS_FIELD, 2, 0);
        assertThat(guest.status()).isEqualTo(11);
        guest.pci().setCommon(QUEUE_SELECT, 4, 1);
        assertThat(guest.pci().common(QUEUE_SELECT, 2)).isZero();
        guest.pci().setCommon(QUEUE_DESC + 4, 8, -1);
        guest.pci().setCommon(QUEUE_DESC, 2, 0xFFFF);
        assertThat(guest.pci().read(COMMON, QUEUE_DESC, 8)).isZero();
        guest.pci().write(ISR, 0, 1, 3);
        guest.pci().write(NOTIFY, 2, 2, 1);
        guest.pci().write(NOTIFY, 0xFFC, 4, -1);
        assertThat(guest.pci().read(NOTIFY, 0, 2)).isZero();
        assertThat(guest.pci().read(COMMON, 0x40, 4)).isZero();
    }

    /** virtio 1.2, 2.6.1 and 4.1.4.3.1: 0 in queue_reset once it is done, 0 in queue_enable; the queue can be used again. */
    @Test
    void resetsOneQueueAlone() {
        long features = PLAIN | Feature.mask(Feature.RING_RESET);
        VirtioDriver guest = ready(features);
        setUp(guest, 0, features, 1);
        guest.ready();
        guest.pci().setCommon(QUEUE_SELECT, 2, 0);
        guest.pci().setCommon(QUEUE_RESET, 2, 1);
        assertThat(guest.pci().common(QUEUE_RESET, 2)).isZero();
        assertThat(guest.pci().common(QUEUE_ENABLE, 2)).isZero();
        assertThat(device.told).contains("queue 0 stopped");
        setUp(guest, 0, features, 2);
        assertThat(guest.pci().common(QUEUE_ENABLE, 2)).isEqualTo(1);
        guest.loop().run();
        guest.request(0, guest.buffers().readable((byte) 1));
        assertThat(guest.bus().pci().signalled()).containsExactly(2);
    }

    @Test
    void refusesFeaturesThatWereNotOffered() {
        VirtioDriver guest = attached();
        guest.negotiate(PLAIN | Feature.mask(5));
        assertThat(guest.status()).isEqualTo(3);
        assertThat(guest.pci().common(DRIVER_FEATURES, 4))
                .as("the driver reads what it wrote")
                .isEqualTo(1);
    }

    @Test
    void notificationsWorkWhereverTheRegistersAreAndWithoutDoorbells() {
        for (boolean doorbells : new boolean[] {true, false}) {
            var memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, VirtioDriver.MEMORY_BYTES));
            TestBus bus = Guests.bus(memory);
            var guest =
                    VirtioDriver.attach(new VirtioPci(new EchoDevice(64)), doorbells ? bus : bus.withoutDoorbells());
            guest.negotiate(PLAIN);
            setUp(guest, 0, PLAIN, NO_VECTOR);
            guest.ready();
            guest.request(0, guest.buffers().readable((byte) 1));
            int held = guest.bus().held();
            guest.bus().pci().place(0xE880_0000L);
            guest.request(0, guest.buffers().readable((byte) 1));
            assertThat(guest.bus().held()).isEqualTo(held).isEqualTo(doorbells ? 2 : 1);
        }
    }

    @Test
    void aChainThatIsAddedWhileTheRegistersAreMovedIsNotForgotten() {
        VirtioDriver guest = attached();
        guest.negotiate(PLAIN);
        DriverQueue queue = setUp(guest, 0, PLAIN, NO_VECTOR);
        guest.ready();
        queue.add(guest.buffers().readable((byte) 1));
        guest.bus().pci().remove();
        guest.loop().run();
        assertThat(queue.takeUsed()).isPresent();
    }

    /** virtio 1.2, 4.1.4.9: offset, length and bar are chosen, then pci_cfg_data is accessed. */
    @Test
    void registersAreReachedThroughConfigurationSpace() {
        VirtioDriver guest = attached();
        var window = capability(guest, 5).registers();
        assertThat(window.read(0, 1)).as("cap_len").isEqualTo(20);
        access(window, guest.pci().address(COMMON, STATUS_FIELD) - TestPciBus.REGISTERS, 1);
        window.write(14, 1, 1);
        assertThat(guest.status()).isEqualTo(1);
        window.write(14, 4, 3);
        assertThat(guest.status()).isEqualTo(3);
        assertThat(window.read(14, 1)).isEqualTo(3);
        access(window, guest.pci().address(DEVICE, 0) - TestPciBus.REGISTERS, 4);
        assertThat(window.read(14, 4)).isEqualTo(0x1234_5678);
        assertThat(window.read(14, 2)).isEqualTo(0x5678);
        window.write(0, 2, 0xFFFF);
        assertThat(window.read(0, 2)).as("read-only").isEqualTo(0x0514);
        for (long[] bad : new long[][] {{0x4000, 4}, {0xFFFF_FFFCL, 4}, {0x14, 3}, {0x14, 0}, {0x15, 2}, {0x14, 8}}) {
            access(window, bad[0], bad[1]);
            window.write(14, 4, 0);
            window.read(14, 4);
        }
        window.write(2, 1, 4);
        access(window, 0x14, 1);
        window.write(14, 1, 0);
        assertThat(guest.status()).as("nothing of that reached a register").isEqualTo(3);
    }

    private static void access(IoHandler window, long offset, long length) {
        window.write(6, 4, offset);
        window.write(10, 4, length);
    }

    @Test
    void goesOnAfterASaveAndARestore() {
        VirtioDriver first = ready(PLAIN);
        DriverQueue queue = setUp(first, 0, PLAIN, 2);
        first.ready();
        first.request(0, first.buffers().readable((byte) 1));
        capability(first, 5).registers().write(6, 4, 0x2000);
        var state = new DeviceState(1);
        first.device().save(state);
        var decoded = DeviceState.decode(state.encode());

        var other = new EchoDevice(64, 16);
        var second = VirtioDriver.attach(new VirtioPci(other), Guests.bus(first.memory()));
        second.bus().pci().enableVectors();
        second.device().restore(decoded);
        queue.add(first.buffers().readable((byte) 1, (byte) 2));
        second.kick(0);
        assertThat(other.remembered).isEqualTo(3);
        assertThat(second.bus().pci().signalled()).containsExactly(2);
        assertThat(second.status()).isEqualTo(15);
        assertThat(second.pci().common(CONFIG_VECTOR, 2)).isZero();
        second.pci().setCommon(QUEUE_SELECT, 2, 0);
        assertThat(second.pci().common(QUEUE_VECTOR, 2)).isEqualTo(2);
        assertThat(capability(second, 5).registers().read(6, 4)).isEqualTo(0x2000);
        other.changeConfig(1);
        assertThat(second.bus().pci().signalled()).endsWith(0);
        assertThatThrownBy(() -> second.device().restore(new DeviceState(1)))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void isResetWithItsMachine() {
        VirtioDriver guest = ready(PLAIN);
        guest.ready();
        capability(guest, 5).registers().write(6, 4, 0x2000);
        guest.device().reset();
        assertThat(guest.status()).isZero();
        assertThat(guest.pci().common(CONFIG_VECTOR, 2)).isEqualTo(NO_VECTOR);
        assertThat(capability(guest, 5).registers().read(6, 4)).isZero();
        assertThat(device.told).containsExactly("activate", "reset");
    }

    @Test
    void givesBackAllThatItHoldsWhenClosed() {
        VirtioDriver guest = ready(PLAIN);
        guest.ready();
        assertThat(guest.bus().held()).as("registers and two doorbells").isEqualTo(3);
        guest.device().close();
        guest.device().close();
        assertThat(guest.bus().held()).isZero();
        assertThat(guest.bus().pci().isClosed()).isTrue();
        assertThat(device.told).containsExactly("activate", "reset", "close");
        var never = new EchoDevice(8);
        new VirtioPci(never).close();
        assertThat(never.told).containsExactly("close");
        assertThatThrownBy(() -> new VirtioPci(never).slot()).isInstanceOf(IllegalStateException.class);
    }

    /** Whatever a guest does to the registers, nothing is thrown, and the device works again after a reset. */
    @Property(tries = 200)
    void survivesAnyAccess(@ForAll long seed, @ForAll @IntRange(min = 1, max = 300) int count) {
        var echo = new EchoDevice(64, 16);
        var guest = attached(echo);
        var random = new Random(seed);
        var window = capability(guest, 5).registers();
        guest.negotiate(PLAIN | Feature.mask(Feature.RING_RESET));
        for (int i = 0; i < count; i++) {
            int size = 1 + random.nextInt(8);
            long value = random.nextInt(3) == 0 ? random.nextLong() : random.nextInt(20);
            value = size == 8 ? value : value & ((1L << (size * Byte.SIZE)) - 1);
            int structure = List.of(0x0000, 0x0000, 0x1000, 0x2000, 0x3000).get(random.nextInt(5));
            long place = TestPciBus.REGISTERS + structure + random.nextInt(random.nextBoolean() ? 0x40 : 0xFF8);
            switch (random.nextInt(6)) {
                case 0, 1, 2 -> guest.bus().write(place, size, value);
                case 3 -> guest.bus().read(place, size);
                case 4 -> window.write(random.nextInt(18 - Math.min(size, 4)), Math.min(size, 4), value & 0xFFFF_FFFFL);
                default -> window.read(random.nextInt(18 - Math.min(size, 4)), Math.min(size, 4));
            }
            guest.loop().run();
        }
        guest.negotiate(PLAIN);
        setUp(guest, 0, PLAIN, NO_VECTOR);
        guest.ready();
        assertThat(guest.request(0, guest.buffers().readable((byte) 1)).length())
                .isZero();
    }

    /** A device whose first queue another process serves. */
    private static final class Remote extends VirtioDevice {
        private final EventFd kick = EventFd.create("kick");
        private final EventFd call = EventFd.create("call");
        private MessageInterrupt.Attachment attachment = () -> {};
        private int notified;

        Remote() {
            super("remote0", 63, new ConfigSpace(0), 16, 16);
        }

        @Override
        protected Optional<HostFile> notificationEvent(int queue) {
            return queue == 0 ? Optional.of(kick.fd()) : Optional.empty();
        }

        @Override
        protected void activate() {
            attachment = queue(0).interruptBy(call.fd());
        }

        @Override
        protected void notified(DeviceQueue queue) {
            notified++;
        }
    }

    @Test
    void aQueueOfAnotherProcessNeedsNothingOfThisOne() {
        var remote = new Remote();
        var guest = attached(remote);
        guest.bus().pci().enableVectors();
        guest.negotiate(PLAIN);
        setUp(guest, 0, PLAIN, 1);
        setUp(guest, 1, PLAIN, 2);
        guest.ready();
        assertThat(guest.bus().pci().attached())
                .as("the vector that the queue is mapped to")
                .containsExactly(1);
        int before = remote.notified;
        guest.kick(0);
        assertThat(remote.kick.take()).isTrue();
        assertThat(remote.notified).isEqualTo(before);
        guest.kick(1);
        assertThat(remote.notified).isEqualTo(before + 1);
        guest.pci().setCommon(QUEUE_SELECT, 2, 0);
        guest.pci().setCommon(QUEUE_VECTOR, 2, 2);
        assertThat(guest.bus().pci().attached()).containsExactly(2);
        guest.pci().setCommon(QUEUE_VECTOR, 2, NO_VECTOR);
        assertThat(guest.bus().pci().attached()).isEmpty();
        guest.pci().setCommon(QUEUE_VECTOR, 2, 1);
        guest.pci().setCommon(STATUS_FIELD, 1, 0);
        assertThat(guest.bus().pci().attached()).as("after a reset").isEmpty();
        remote.attachment.close();
        guest.device().close();
        assertThat(guest.bus().held()).isZero();
    }
}
