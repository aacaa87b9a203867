package io.github.jkvm.virtio;

import io.github.jkvm.DeviceState;
import io.github.jkvm.IoHandler;

/**
 * The common configuration structure (virtio 1.2, 4.1.4.3). A driver accesses each field in its own width, and fields of 64 bits in halves or at
 * once (4.1.3.1); other accesses read zero and change nothing.
 */
final class PciCommonRegisters implements IoHandler {
    /** Length of the structure in bytes. */
    static final int LENGTH = 0x3C;

    private static final int DEVICE_FEATURE_SELECT = 0x00;
    private static final int DEVICE_FEATURE = 0x04;
    private static final int DRIVER_FEATURE_SELECT = 0x08;
    private static final int DRIVER_FEATURE = 0x0C;
    private static final int CONFIG_VECTOR = 0x10;
    private static final int NUM_QUEUES = 0x12;
    private static final int DEVICE_STATUS = 0x14;
    private static final int CONFIG_GENERATION = 0x15;
    private static final int QUEUE_SELECT = 0x16;
    private static final int QUEUE_SIZE = 0x18;
    private static final int QUEUE_VECTOR = 0x1A;
    private static final int QUEUE_ENABLE = 0x1C;
    private static final int QUEUE_NOTIFY_OFF = 0x1E;
    /** The first of three addresses: descriptors, driver, device. */
    private static final int QUEUE_ADDRESSES = 0x20;

    private static final int QUEUE_NOTIFY_DATA = 0x38;
    private static final int QUEUE_RESET = 0x3A;

    private static final QueueRegisters.Part[] PARTS = {
        QueueRegisters.Part.DESCRIPTORS, QueueRegisters.Part.DRIVER, QueueRegisters.Part.DEVICE
    };

    private static final int BYTE_MASK = 0xFF;

    private final DeviceCore core;
    private final PciInterrupt interrupt;

    /* The registers that choose what others mean. Several vCPUs may use them at once, and then get what they deserve. */
    private volatile int deviceFeatureSelect;
    private volatile int driverFeatureSelect;
    private volatile int queueSelect;

    PciCommonRegisters(DeviceCore core, PciInterrupt interrupt) {
        this.core = core;
        this.interrupt = interrupt;
    }

    @Override
    public long read(long offset, int size) {
        int field = (int) offset;
        return switch (size) {
            case Byte.BYTES -> readByte(field);
            case Short.BYTES -> readShort(field);
            case Integer.BYTES -> readInt(field);
            case Long.BYTES -> isAddress(field) && field % Long.BYTES == 0 ? address(field) : 0;
            default -> 0;
        };
    }

    private int readByte(int field) {
        return switch (field) {
            case DEVICE_STATUS -> core.status();
            case CONFIG_GENERATION -> core.configGeneration() & BYTE_MASK;
            default -> 0;
        };
    }

    private int readShort(int field) {
        QueueRegisters queue = core.registers(queueSelect);
        return switch (field) {
            case CONFIG_VECTOR -> interrupt.configVector();
            case NUM_QUEUES -> core.queueCount();
            case QUEUE_SELECT -> queueSelect;
            // 0 is a queue that there is not (4.1.4.3: "A 0 means the queue is unavailable").
            case QUEUE_SIZE -> queue == null ? 0 : queue.size();
            case QUEUE_VECTOR -> queue == null ? PciInterrupt.NO_VECTOR : interrupt.queueVector(queueSelect);
            case QUEUE_ENABLE -> queue != null && queue.isReady() ? 1 : 0;
            case QUEUE_NOTIFY_OFF, QUEUE_NOTIFY_DATA -> queue == null ? 0 : queueSelect;
            // A reset is over when its write returns.
            case QUEUE_RESET -> 0;
            default -> 0;
        };
    }

    private long readInt(int field) {
        return switch (field) {
            case DEVICE_FEATURE_SELECT -> deviceFeatureSelect;
            case DEVICE_FEATURE -> core.deviceFeatures(Integer.toUnsignedLong(deviceFeatureSelect));
            case DRIVER_FEATURE_SELECT -> driverFeatureSelect;
            case DRIVER_FEATURE -> core.driverFeatures(Integer.toUnsignedLong(driverFeatureSelect));
            default ->
                isAddress(field) && field % Integer.BYTES == 0
                        ? address(field) >>> (field % Long.BYTES * Byte.SIZE) & 0xFFFF_FFFFL
                        : 0;
        };
    }

    private static boolean isAddress(int field) {
        return field >= QUEUE_ADDRESSES && field < QUEUE_NOTIFY_DATA;
    }

    private static QueueRegisters.Part part(int field) {
        return PARTS[(field - QUEUE_ADDRESSES) / Long.BYTES];
    }

    private long address(int field) {
        QueueRegisters queue = core.registers(queueSelect);
        return queue == null ? 0 : queue.address(part(field));
    }

    @Override
    public void write(long offset, int size, long value) {
        int field = (int) offset;
        switch (size) {
            case Byte.BYTES -> {
                if (field == DEVICE_STATUS) {
                    setStatus((int) value);
                }
            }
            case Short.BYTES -> writeShort(field, (int) value & 0xFFFF);
            case Integer.BYTES -> writeInt(field, value);
            case Long.BYTES -> {
                if (field % Long.BYTES == 0 && isAddress(field)) {
                    setLow(field, value);
                    setHigh(field, value >>> Integer.SIZE);
                }
            }
            default -> {
                // No field has this width.
            }
        }
    }

    private void setStatus(int value) {
        core.setStatus(value);
        if ((value & BYTE_MASK) == 0) {
            resetSelf();
        }
    }

    /** What is of the transport in a reset. */
    void resetSelf() {
        interrupt.reset();
        deviceFeatureSelect = 0;
        driverFeatureSelect = 0;
        queueSelect = 0;
    }

    private void writeShort(int field, int value) {
        int selected = queueSelect;
        boolean exists = core.registers(selected) != null;
        switch (field) {
            case CONFIG_VECTOR -> interrupt.setConfigVector(value);
            case QUEUE_SELECT -> queueSelect = value;
            case QUEUE_SIZE -> {
                QueueRegisters queue = core.writableRegisters(selected);
                if (queue != null) {
                    queue.setSize(value);
                }
            }
            case QUEUE_VECTOR -> {
                if (exists) {
                    interrupt.setQueueVector(selected, value);
                }
            }
            case QUEUE_ENABLE -> {
                // "The driver MUST NOT write a 0 to queue_enable" (4.1.4.3.2).
                if (value == 1) {
                    core.enableQueue(selected);
                }
            }
            case QUEUE_RESET -> {
                if (value == 1) {
                    core.resetQueue(selected);
                }
            }
            default -> {
                // Not a register that can be written in this width.
            }
        }
    }

    private void writeInt(int field, long value) {
        switch (field) {
            case DEVICE_FEATURE_SELECT -> deviceFeatureSelect = (int) value;
            case DRIVER_FEATURE_SELECT -> driverFeatureSelect = (int) value;
            case DRIVER_FEATURE -> core.setDriverFeatures(Integer.toUnsignedLong(driverFeatureSelect), (int) value);
            default -> {
                if (isAddress(field) && field % Long.BYTES == 0) {
                    setLow(field, value);
                } else if (isAddress(field) && field % Integer.BYTES == 0) {
                    setHigh(field, value);
                }
            }
        }
    }

    private void setLow(int field, long value) {
        QueueRegisters queue = core.writableRegisters(queueSelect);
        if (queue != null) {
            queue.setLow(part(field), value);
        }
    }

    private void setHigh(int field, long value) {
        QueueRegisters queue = core.writableRegisters(queueSelect);
        if (queue != null) {
            queue.setHigh(part(field), value);
        }
    }

    void save(DeviceState state) {
        state.putNumber("deviceFeatureSelect", deviceFeatureSelect);
        state.putNumber("driverFeatureSelect", driverFeatureSelect);
        state.putNumber("queueSelect", queueSelect);
    }

    /** Reads what {@link #save} wrote, and returns what takes it over. */
    Runnable restorer(DeviceState state) {
        int device = (int) state.number("deviceFeatureSelect", Integer.MIN_VALUE, Integer.MAX_VALUE);
        int driver = (int) state.number("driverFeatureSelect", Integer.MIN_VALUE, Integer.MAX_VALUE);
        int queue = (int) state.number("queueSelect", 0, 0xFFFF);
        return () -> {
            deviceFeatureSelect = device;
            driverFeatureSelect = driver;
            queueSelect = queue;
        };
    }
}
