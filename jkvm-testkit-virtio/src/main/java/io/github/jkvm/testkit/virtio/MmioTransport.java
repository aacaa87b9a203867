package io.github.jkvm.testkit.virtio;

/** The registers of virtio over MMIO (virtio 1.2, 4.2.2), from the driver's side. */
public final class MmioTransport extends DriverTransport {
    /** Offset of {@code MagicValue}. */
    public static final int MAGIC_VALUE = 0x000;

    /** Offset of {@code Version}. */
    public static final int VERSION = 0x004;

    /** Offset of {@code DeviceID}. */
    public static final int DEVICE_ID = 0x008;

    /** Offset of {@code DeviceFeatures}. */
    public static final int DEVICE_FEATURES = 0x010;

    /** Offset of {@code DeviceFeaturesSel}. */
    public static final int DEVICE_FEATURES_SEL = 0x014;

    /** Offset of {@code DriverFeatures}. */
    public static final int DRIVER_FEATURES = 0x020;

    /** Offset of {@code DriverFeaturesSel}. */
    public static final int DRIVER_FEATURES_SEL = 0x024;

    /** Offset of {@code QueueSel}. */
    public static final int QUEUE_SEL = 0x030;

    /** Offset of {@code QueueNumMax}. */
    public static final int QUEUE_NUM_MAX = 0x034;

    /** Offset of {@code QueueNum}. */
    public static final int QUEUE_NUM = 0x038;

    /** Offset of {@code QueueReady}. */
    public static final int QUEUE_READY = 0x044;

    /** Offset of {@code QueueNotify}. */
    public static final int QUEUE_NOTIFY = 0x050;

    /** Offset of {@code InterruptStatus}. */
    public static final int INTERRUPT_STATUS = 0x060;

    /** Offset of {@code InterruptACK}. */
    public static final int INTERRUPT_ACK = 0x064;

    /** Offset of {@code Status}. */
    public static final int STATUS = 0x070;

    /** Offset of {@code QueueDescLow}; the high half follows. */
    public static final int QUEUE_DESC = 0x080;

    /** Offset of {@code QueueDriverLow}; the high half follows. */
    public static final int QUEUE_DRIVER = 0x090;

    /** Offset of {@code QueueDeviceLow}; the high half follows. */
    public static final int QUEUE_DEVICE = 0x0A0;

    /** Offset of {@code QueueReset}. */
    public static final int QUEUE_RESET = 0x0C0;

    /** Offset of {@code ConfigGeneration}. */
    public static final int CONFIG_GENERATION = 0x0FC;

    /** Offset of the device's configuration space. */
    public static final int CONFIG = 0x100;

    private static final int MAGIC = 0x7472_6976;
    private static final int MODERN = 2;

    private final TestBus bus;
    private final long base;

    MmioTransport(TestBus bus, long base) {
        this.bus = bus;
        this.base = base;
    }

    @Override
    void check() {
        int magic = register(MAGIC_VALUE);
        int version = register(VERSION);
        int id = register(DEVICE_ID);
        if (magic != MAGIC || version != MODERN || id == 0) {
            throw new AssertionError("no virtio device at 0x" + Long.toHexString(base) + ": MagicValue 0x"
                    + Integer.toHexString(magic) + ", Version " + version + ", DeviceID " + id
                    + "; virtio 1.2, 4.2.2 asks for 0x"
                    + Integer.toHexString(MAGIC) + ", " + MODERN + " and a number that is not 0");
        }
    }

    /**
     * Returns where the registers are.
     *
     * @return the guest-physical address of the first one
     */
    public long base() {
        return base;
    }

    /**
     * Reads a register of 32 bits.
     *
     * @param offset its offset
     * @return the value
     */
    public int register(int offset) {
        return (int) bus.read(base + offset, Integer.BYTES);
    }

    /**
     * Writes a register of 32 bits.
     *
     * @param offset its offset
     * @param value the value
     */
    public void setRegister(int offset, int value) {
        bus.write(base + offset, Integer.BYTES, Integer.toUnsignedLong(value));
    }

    @Override
    public long offered() {
        setRegister(DEVICE_FEATURES_SEL, 0);
        long low = Integer.toUnsignedLong(register(DEVICE_FEATURES));
        setRegister(DEVICE_FEATURES_SEL, 1);
        return low | Integer.toUnsignedLong(register(DEVICE_FEATURES)) << Integer.SIZE;
    }

    @Override
    public void accept(long features) {
        for (int word = 0; word < 2; word++) {
            setRegister(DRIVER_FEATURES_SEL, word);
            setRegister(DRIVER_FEATURES, (int) (features >>> (word * Integer.SIZE)));
        }
    }

    @Override
    public int status() {
        return register(STATUS);
    }

    @Override
    public void setStatus(int status) {
        setRegister(STATUS, status);
    }

    @Override
    public int maxQueueSize(int queue) {
        setRegister(QUEUE_SEL, queue);
        return register(QUEUE_NUM_MAX);
    }

    /** Does nothing: there is one interrupt for all. */
    @Override
    void setUpInterrupts() {}

    @Override
    public void setUpQueue(int queue, QueueAreas areas) {
        setRegister(QUEUE_SEL, queue);
        setRegister(QUEUE_NUM, areas.size());
        setAddress(QUEUE_DESC, areas.descriptors());
        setAddress(QUEUE_DRIVER, areas.driver());
        setAddress(QUEUE_DEVICE, areas.device());
        setRegister(QUEUE_READY, 1);
    }

    private void setAddress(int offset, long address) {
        setRegister(offset, (int) address);
        setRegister(offset + Integer.BYTES, (int) (address >>> Integer.SIZE));
    }

    @Override
    public void notify(int queue) {
        setRegister(QUEUE_NOTIFY, queue);
    }

    @Override
    public long config(int offset, int size) {
        return bus.read(base + CONFIG + offset, size);
    }

    @Override
    public void setConfig(int offset, int size, long value) {
        bus.write(base + CONFIG + offset, size, value);
    }

    @Override
    public int interrupts() {
        return bus.interrupts();
    }

    @Override
    public int takeInterruptStatus() {
        int status = register(INTERRUPT_STATUS);
        setRegister(INTERRUPT_ACK, status);
        return status;
    }

    @Override
    boolean reachesConfig(int offset, int size) {
        return bus.reaches(base + CONFIG + offset, size);
    }

    @Override
    void scribble(Choices choices) {
        setRegister(choices.below(STATUS / Integer.BYTES) * Integer.BYTES, (int) choices.number());
    }

    @Override
    void stopQueue(int queue, Choices choices) {
        setRegister(QUEUE_SEL, queue);
        setRegister(choices.oneIn(2) ? QUEUE_RESET : QUEUE_READY, choices.below(2));
    }
}
