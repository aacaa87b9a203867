package io.github.jkvm.testkit.virtio;

import io.github.jkvm.PciCapability;
import java.util.HashMap;
import java.util.Map;

/**
 * The registers of virtio over PCI (virtio 1.2, 4.1.4), from the driver's side. With {@linkplain TestPciBus#enableVectors MSI-X} a driver gives
 * vector 0 to the configuration and vector i + 1 to queue i, as far as there are vectors.
 */
public final class PciTransport extends DriverTransport {
    /** Structure type of the common configuration ({@code VIRTIO_PCI_CAP_COMMON_CFG}). */
    public static final int COMMON = 1;

    /** Structure type of the notifications. */
    public static final int NOTIFY = 2;

    /** Structure type of the ISR status. */
    public static final int ISR = 3;

    /** Structure type of the device's configuration. */
    public static final int DEVICE = 4;

    // Fields of the common configuration structure (4.1.4.3).

    /** Offset of {@code device_feature_select}, 4 bytes. */
    public static final int SELECT_DEVICE_FEATURES = 0x00;

    /** Offset of {@code device_feature}, 4 bytes. */
    public static final int DEVICE_FEATURES = 0x04;

    /** Offset of {@code driver_feature_select}, 4 bytes. */
    public static final int SELECT_DRIVER_FEATURES = 0x08;

    /** Offset of {@code driver_feature}, 4 bytes. */
    public static final int DRIVER_FEATURES = 0x0C;

    /** Offset of {@code config_msix_vector}, 2 bytes. */
    public static final int CONFIG_VECTOR = 0x10;

    /** Offset of {@code num_queues}, 2 bytes. */
    public static final int NUM_QUEUES = 0x12;

    /** Offset of {@code device_status}, 1 byte. */
    public static final int STATUS = 0x14;

    /** Offset of {@code config_generation}, 1 byte. */
    public static final int GENERATION = 0x15;

    /** Offset of {@code queue_select}, 2 bytes. */
    public static final int QUEUE_SELECT = 0x16;

    /** Offset of {@code queue_size}, 2 bytes. */
    public static final int QUEUE_SIZE = 0x18;

    /** Offset of {@code queue_msix_vector}, 2 bytes. */
    public static final int QUEUE_VECTOR = 0x1A;

    /** Offset of {@code queue_enable}, 2 bytes. */
    public static final int QUEUE_ENABLE = 0x1C;

    /** Offset of {@code queue_notify_off}, 2 bytes. */
    public static final int QUEUE_NOTIFY_OFF = 0x1E;

    /** Offset of {@code queue_desc}, 8 bytes. */
    public static final int QUEUE_DESC = 0x20;

    /** Offset of {@code queue_driver}, 8 bytes. */
    public static final int QUEUE_DRIVER = 0x28;

    /** Offset of {@code queue_device}, 8 bytes. */
    public static final int QUEUE_DEVICE = 0x30;

    /** Offset of {@code queue_reset}, 2 bytes. */
    public static final int QUEUE_RESET = 0x3A;

    /** {@code VIRTIO_MSI_NO_VECTOR}. */
    public static final int NO_VECTOR = 0xFFFF;

    // Fields of a capability (4.1.4), without id and next pointer, which are the bus's.
    private static final int CAP_OFFSET = 6;
    private static final int CAP_NOTIFY_MULTIPLIER = 14;

    private final TestBus bus;
    private final Map<Integer, Integer> vectors = new HashMap<>();

    PciTransport(TestBus bus) {
        this.bus = bus;
    }

    @Override
    void check() {
        for (int type = COMMON; type <= ISR; type++) {
            capability(type);
        }
    }

    private PciCapability capability(int type) {
        return bus.pci()
                .capability(type)
                .orElseThrow(() -> new AssertionError(
                        bus.pci().function().name() + " has no capability of type " + type + " (virtio 1.2, 4.1.4)"));
    }

    /**
     * Returns where a structure is, by its capability.
     *
     * @param type the structure's type, such as {@link #COMMON}
     * @param offset an offset in it
     * @return the guest-physical address
     * @throws AssertionError if there is no such structure
     */
    public long address(int type, int offset) {
        long start = capability(type).registers().read(CAP_OFFSET, Integer.BYTES) & 0xFFFF_FFFFL;
        return bus.pci().base() + start + offset;
    }

    /**
     * Reads from a structure.
     *
     * @param type the structure's type
     * @param offset an offset in it
     * @param size how many bytes, 1 to 8
     * @return the value, zero-extended
     */
    public long read(int type, int offset, int size) {
        return bus.read(address(type, offset), size);
    }

    /**
     * Writes to a structure.
     *
     * @param type the structure's type
     * @param offset an offset in it
     * @param size how many bytes, 1 to 8
     * @param value the value
     */
    public void write(int type, int offset, int size, long value) {
        bus.write(address(type, offset), size, value);
    }

    /**
     * Reads a field of the common configuration.
     *
     * @param field its offset
     * @param size how many bytes: 1, 2 or 4
     * @return the value
     */
    public int common(int field, int size) {
        return (int) read(COMMON, field, size);
    }

    /**
     * Writes a field of the common configuration.
     *
     * @param field its offset
     * @param size how many bytes: 1, 2, 4 or 8
     * @param value the value
     */
    public void setCommon(int field, int size, long value) {
        write(COMMON, field, size, value);
    }

    /**
     * Says which vector a queue gets when it is set up.
     *
     * @param queue index of the queue
     * @param vector the vector, or {@link #NO_VECTOR}
     */
    public void useVector(int queue, int vector) {
        vectors.put(queue, vector);
    }

    @Override
    public long offered() {
        setCommon(SELECT_DEVICE_FEATURES, 4, 0);
        long low = Integer.toUnsignedLong(common(DEVICE_FEATURES, 4));
        setCommon(SELECT_DEVICE_FEATURES, 4, 1);
        return low | Integer.toUnsignedLong(common(DEVICE_FEATURES, 4)) << Integer.SIZE;
    }

    @Override
    public void accept(long features) {
        setCommon(SELECT_DRIVER_FEATURES, 4, 0);
        setCommon(DRIVER_FEATURES, 4, features & 0xFFFF_FFFFL);
        setCommon(SELECT_DRIVER_FEATURES, 4, 1);
        setCommon(DRIVER_FEATURES, 4, features >>> Integer.SIZE);
    }

    @Override
    public int status() {
        return common(STATUS, 1);
    }

    @Override
    public void setStatus(int status) {
        setCommon(STATUS, 1, status);
    }

    @Override
    public int maxQueueSize(int queue) {
        setCommon(QUEUE_SELECT, 2, queue);
        return common(QUEUE_SIZE, 2);
    }

    @Override
    void setUpInterrupts() {
        if (bus.pci().vectorsEnabled()) {
            setCommon(CONFIG_VECTOR, 2, bus.pci().function().vectors() == 0 ? NO_VECTOR : 0);
        }
    }

    @Override
    public void setUpQueue(int queue, QueueAreas areas) {
        setCommon(QUEUE_SELECT, 2, queue);
        setCommon(QUEUE_SIZE, 2, areas.size());
        setAddress(QUEUE_DESC, areas.descriptors());
        setAddress(QUEUE_DRIVER, areas.driver());
        setAddress(QUEUE_DEVICE, areas.device());
        if (bus.pci().vectorsEnabled()) {
            int most = bus.pci().function().vectors() - 1;
            setCommon(QUEUE_VECTOR, 2, vectors.getOrDefault(queue, most < 0 ? NO_VECTOR : Math.min(queue + 1, most)));
        }
        setCommon(QUEUE_ENABLE, 2, 1);
    }

    private void setAddress(int field, long address) {
        setCommon(field, 4, address & 0xFFFF_FFFFL);
        setCommon(field + 4, 4, address >>> Integer.SIZE);
    }

    /** Notifies as Linux does: the queue's number, at the queue's place (4.1.4.4). */
    @Override
    public void notify(int queue) {
        setCommon(QUEUE_SELECT, 2, queue);
        long multiplier = capability(NOTIFY).registers().read(CAP_NOTIFY_MULTIPLIER, Integer.BYTES) & 0xFFFF_FFFFL;
        write(NOTIFY, (int) (common(QUEUE_NOTIFY_OFF, 2) * multiplier), 2, queue);
    }

    @Override
    public long config(int offset, int size) {
        return read(DEVICE, offset, size);
    }

    @Override
    public void setConfig(int offset, int size, long value) {
        write(DEVICE, offset, size, value);
    }

    /** Returns how many messages were sent and how often the pin was raised. */
    @Override
    public int interrupts() {
        return bus.pci().signalled().size() + bus.pci().pinRaised();
    }

    @Override
    public int takeInterruptStatus() {
        return (int) read(ISR, 0, 1);
    }

    @Override
    boolean reachesConfig(int offset, int size) {
        return bus.pci().capability(DEVICE).isPresent() && bus.reaches(address(DEVICE, offset), size);
    }

    @Override
    void scribble(Choices choices) {
        int size = 1 << choices.below(3);
        int field = choices.below(QUEUE_DESC / size) * size;
        if (field != STATUS) {
            setCommon(field, size, choices.number() & ((1L << (size * Byte.SIZE)) - 1));
        }
    }

    @Override
    void stopQueue(int queue, Choices choices) {
        setCommon(QUEUE_SELECT, 2, queue);
        setCommon(choices.oneIn(2) ? QUEUE_RESET : QUEUE_ENABLE, 2, choices.below(2));
    }
}
