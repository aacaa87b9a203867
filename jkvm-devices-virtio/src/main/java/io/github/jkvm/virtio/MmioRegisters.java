package io.github.jkvm.virtio;

import io.github.jkvm.DeviceState;
import io.github.jkvm.IoHandler;

/**
 * The registers of virtio over MMIO, version 2 (virtio 1.2, 4.2.2, table 4.1). Accesses that the driver must not make read zero and change
 * nothing: others than 32 bits wide and aligned, below the configuration space; and those of registers that are not readable or not writable.
 */
final class MmioRegisters implements IoHandler {
    /** Where the driver writes the number of the queue it has chains in. */
    static final int QUEUE_NOTIFY = 0x050;

    private static final int MAGIC = 0x000;
    private static final int VERSION = 0x004;
    private static final int DEVICE_ID = 0x008;
    private static final int VENDOR_ID = 0x00C;
    private static final int DEVICE_FEATURES = 0x010;
    private static final int DEVICE_FEATURES_SELECT = 0x014;
    private static final int DRIVER_FEATURES = 0x020;
    private static final int DRIVER_FEATURES_SELECT = 0x024;
    private static final int QUEUE_SELECT = 0x030;
    private static final int QUEUE_SIZE_MAX = 0x034;
    private static final int QUEUE_SIZE = 0x038;
    private static final int QUEUE_READY = 0x044;
    private static final int INTERRUPT_STATUS = 0x060;
    private static final int INTERRUPT_ACKNOWLEDGE = 0x064;
    private static final int STATUS = 0x070;
    private static final int QUEUE_DESCRIPTORS_LOW = 0x080;
    private static final int QUEUE_DESCRIPTORS_HIGH = 0x084;
    private static final int QUEUE_DRIVER_LOW = 0x090;
    private static final int QUEUE_DRIVER_HIGH = 0x094;
    private static final int QUEUE_DEVICE_LOW = 0x0A0;
    private static final int QUEUE_DEVICE_HIGH = 0x0A4;
    private static final int SHARED_MEMORY_LENGTH_LOW = 0x0B0;
    private static final int SHARED_MEMORY_LENGTH_HIGH = 0x0B4;
    private static final int SHARED_MEMORY_BASE_LOW = 0x0B8;
    private static final int SHARED_MEMORY_BASE_HIGH = 0x0BC;
    private static final int QUEUE_RESET = 0x0C0;
    private static final int CONFIG_GENERATION = 0x0FC;
    private static final int CONFIG = 0x100;

    /** "virt". */
    private static final int MAGIC_VALUE = 0x7472_6976;

    private static final int VERSION_VALUE = 2;

    /** "jkvm": any value will do. */
    private static final int VENDOR_VALUE = 0x6D76_6B6A;

    /** A region of shared memory that there is not has this length and base (virtio 1.2, 4.2.2). */
    private static final int NO_SHARED_MEMORY = -1;

    private final DeviceCore core;
    private final VirtioMmio.MmioInterrupt interrupt;
    private final int deviceId;

    /* The registers that choose what others mean. Several vCPUs may use them at once, and then get what they deserve. */
    private volatile int deviceFeaturesSelect;
    private volatile int driverFeaturesSelect;
    private volatile int queueSelect;

    MmioRegisters(DeviceCore core, VirtioMmio.MmioInterrupt interrupt, int deviceId) {
        this.core = core;
        this.interrupt = interrupt;
        this.deviceId = deviceId;
    }

    @Override
    public long read(long offset, int size) {
        if (offset >= CONFIG) {
            return core.readConfig(offset - CONFIG, size);
        }
        if (size != Integer.BYTES) {
            return 0;
        }
        return switch ((int) offset) {
            case MAGIC -> MAGIC_VALUE;
            case VERSION -> VERSION_VALUE;
            case DEVICE_ID -> deviceId;
            case VENDOR_ID -> VENDOR_VALUE;
            case DEVICE_FEATURES -> core.deviceFeatures(Integer.toUnsignedLong(deviceFeaturesSelect));
            case QUEUE_SIZE_MAX -> {
                QueueRegisters queue = core.registers(queue());
                yield queue == null ? 0 : queue.maxSize();
            }
            case QUEUE_READY -> {
                QueueRegisters queue = core.registers(queue());
                yield queue != null && queue.isReady() ? 1 : 0;
            }
            case INTERRUPT_STATUS -> interrupt.status();
            case STATUS -> core.status();
            case SHARED_MEMORY_LENGTH_LOW, SHARED_MEMORY_LENGTH_HIGH, SHARED_MEMORY_BASE_LOW, SHARED_MEMORY_BASE_HIGH ->
                NO_SHARED_MEMORY;
            case CONFIG_GENERATION -> core.configGeneration();
            default -> 0; // also QueueReset: a reset is over when its write returns
        };
    }

    @Override
    public void write(long offset, int size, long value) {
        if (offset >= CONFIG) {
            core.writeConfig(offset - CONFIG, size, value);
            return;
        }
        if (size != Integer.BYTES) {
            return;
        }
        switch ((int) offset) {
            case DEVICE_FEATURES_SELECT -> deviceFeaturesSelect = (int) value;
            case DRIVER_FEATURES_SELECT -> driverFeaturesSelect = (int) value;
            case DRIVER_FEATURES -> core.setDriverFeatures(Integer.toUnsignedLong(driverFeaturesSelect), (int) value);
            case QUEUE_SELECT -> queueSelect = (int) value;
            case QUEUE_NOTIFY -> core.notifyFromVcpu(value);
            case INTERRUPT_ACKNOWLEDGE -> interrupt.acknowledge((int) value);
            case STATUS -> setStatus((int) value);
            case QUEUE_READY -> setReady((int) value);
            case QUEUE_RESET -> {
                if (value == 1) {
                    core.resetQueue(queue());
                }
            }
            default -> writeQueue((int) offset, value);
        }
    }

    private long queue() {
        return Integer.toUnsignedLong(queueSelect);
    }

    private void setStatus(int value) {
        core.setStatus(value);
        if (value == 0) {
            interrupt.acknowledge(-1);
        }
    }

    /** A driver takes a queue out of use by writing 0 (virtio 1.2, 4.2.3.2), which without a reset of the queue is for a device that is not running. */
    private void setReady(int value) {
        if (value == 1) {
            core.enableQueue(queue());
        } else if (value == 0) {
            core.disableQueue(queue());
        }
    }

    private void writeQueue(int offset, long value) {
        QueueRegisters queue = core.writableRegisters(queue());
        if (queue == null) {
            return;
        }
        switch (offset) {
            case QUEUE_SIZE -> queue.setSize((int) Math.min(value, 0xFFFF));
            case QUEUE_DESCRIPTORS_LOW -> queue.setLow(QueueRegisters.Part.DESCRIPTORS, value);
            case QUEUE_DESCRIPTORS_HIGH -> queue.setHigh(QueueRegisters.Part.DESCRIPTORS, value);
            case QUEUE_DRIVER_LOW -> queue.setLow(QueueRegisters.Part.DRIVER, value);
            case QUEUE_DRIVER_HIGH -> queue.setHigh(QueueRegisters.Part.DRIVER, value);
            case QUEUE_DEVICE_LOW -> queue.setLow(QueueRegisters.Part.DEVICE, value);
            case QUEUE_DEVICE_HIGH -> queue.setHigh(QueueRegisters.Part.DEVICE, value);
            default -> {
                // Not a register that can be written.
            }
        }
    }

    void save(DeviceState state) {
        state.putNumber("deviceFeaturesSelect", deviceFeaturesSelect);
        state.putNumber("driverFeaturesSelect", driverFeaturesSelect);
        state.putNumber("queueSelect", queueSelect);
        state.putNumber("interruptStatus", interrupt.status());
    }

    void restore(DeviceState state) {
        int reasons = (int) state.number("interruptStatus", 0, 3);
        deviceFeaturesSelect = (int) state.number("deviceFeaturesSelect", Integer.MIN_VALUE, Integer.MAX_VALUE);
        driverFeaturesSelect = (int) state.number("driverFeaturesSelect", Integer.MIN_VALUE, Integer.MAX_VALUE);
        queueSelect = (int) state.number("queueSelect", Integer.MIN_VALUE, Integer.MAX_VALUE);
        interrupt.restore(reasons);
    }
}
