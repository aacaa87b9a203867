package io.github.jkvm.virtio;

import io.github.jkvm.DeviceState;
import io.github.jkvm.IoHandler;

/**
 * The capability through which firmware reaches a device's registers by configuration space alone (virtio 1.2, 4.1.4.9, {@code
 * VIRTIO_PCI_CAP_PCI_CFG}): the driver writes where and how wide, then reads or writes the data. Offsets are relative to the third byte of
 * the capability.
 */
final class PciConfigWindow implements IoHandler {
    /** Length of the content in bytes. */
    static final int LENGTH = 18;

    private static final int BAR_FIELD = 2;
    private static final int OFFSET_FIELD = 6;
    private static final int LENGTH_FIELD = 10;
    private static final int DATA_FIELD = 14;

    private final IoHandler registers;
    private final byte[] bytes = PciRegisters.windowContent();

    /**
     * Creates the capability's content.
     *
     * @param registers what is behind it: {@link PciRegisters#SIZE} bytes in {@link PciRegisters#BAR}
     */
    PciConfigWindow(IoHandler registers) {
        this.registers = registers;
    }

    @Override
    public synchronized long read(long offset, int size) {
        if (covers(offset, size) && isValid()) {
            set(DATA_FIELD, Integer.BYTES, registers.read(field(OFFSET_FIELD), width()));
        }
        return get((int) offset, size);
    }

    @Override
    public synchronized void write(long offset, int size, long value) {
        for (int i = 0; i < size; i++) {
            int at = (int) offset + i;
            // The driver chooses bar, offset, length and data; the rest is read-only (4.1.4.9.1).
            if (at == BAR_FIELD || at >= OFFSET_FIELD) {
                bytes[at] = (byte) (value >>> (i * Byte.SIZE));
            }
        }
        if (covers(offset, size) && isValid()) {
            registers.write(field(OFFSET_FIELD), width(), get(DATA_FIELD, width()));
        }
    }

    private static boolean covers(long offset, int size) {
        return offset <= DATA_FIELD && offset + size > DATA_FIELD;
    }

    /** "The driver MUST NOT write a cap.offset which is not a multiple of cap.length"; it is 1, 2 or 4 (4.1.4.9.2). */
    private boolean isValid() {
        long length = field(LENGTH_FIELD);
        long offset = field(OFFSET_FIELD);
        return bytes[BAR_FIELD] == PciRegisters.BAR
                && (length == 1 || length == 2 || length == 4)
                && offset % length == 0
                && offset < PciRegisters.SIZE;
    }

    private int width() {
        return (int) field(LENGTH_FIELD);
    }

    private long field(int at) {
        return get(at, Integer.BYTES);
    }

    private long get(int at, int size) {
        long value = 0;
        for (int i = 0; i < size; i++) {
            value |= (bytes[at + i] & 0xFFL) << (i * Byte.SIZE);
        }
        return value;
    }

    private void set(int at, int size, long value) {
        for (int i = 0; i < size; i++) {
            bytes[at + i] = (byte) (value >>> (i * Byte.SIZE));
        }
    }

    synchronized void reset() {
        byte[] initial = PciRegisters.windowContent();
        System.arraycopy(initial, 0, bytes, 0, bytes.length);
    }

    synchronized void save(DeviceState state) {
        state.putNumber("window.bar", bytes[BAR_FIELD]);
        state.putNumber("window.offset", field(OFFSET_FIELD));
        state.putNumber("window.length", field(LENGTH_FIELD));
    }

    /** Reads what {@link #save} wrote, and returns what takes it over. */
    Runnable restorer(DeviceState state) {
        long bar = state.number("window.bar", Byte.MIN_VALUE, Byte.MAX_VALUE);
        long offset = state.number("window.offset", 0, 0xFFFF_FFFFL);
        long length = state.number("window.length", 0, 0xFFFF_FFFFL);
        return () -> {
            synchronized (this) {
                set(BAR_FIELD, 1, bar);
                set(OFFSET_FIELD, Integer.BYTES, offset);
                set(LENGTH_FIELD, Integer.BYTES, length);
            }
        };
    }
}
