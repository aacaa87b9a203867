package io.github.jkvm.machine.pci;

import io.github.jkvm.PciCapability;
import io.github.jkvm.PciIdentity;

/**
 * The 256 bytes of configuration space of one function with a header of type 0 (6.1): what they hold, which bits of them the guest may write,
 * and which capabilities answer for their own bytes. Not safe for use by several threads.
 */
final class ConfigSpace {
    static final int SIZE = 256;

    static final int COMMAND = 0x04;
    private static final int STATUS = 0x06;
    static final int FIRST_BAR = 0x10;

    static final int COMMAND_MEMORY = 1 << 1;
    static final int COMMAND_PIN_DISABLED = 1 << 10;
    /** Memory space, bus master, parity error response, SERR#, interrupt disable (6.2.2): there are no ports. */
    private static final int COMMAND_WRITABLE = COMMAND_MEMORY | 1 << 2 | 1 << 6 | 1 << 8 | COMMAND_PIN_DISABLED;

    private static final int STATUS_PIN_ASSERTED = 1 << 3;
    private static final int STATUS_CAPABILITIES = 1 << 4;
    private static final int VENDOR = 0x00;
    private static final int DEVICE = 0x02;
    private static final int REVISION = 0x08;
    private static final int CLASS_CODE = 0x09;
    private static final int CACHE_LINE_SIZE = 0x0C;
    private static final int SUBSYSTEM_VENDOR = 0x2C;
    private static final int SUBSYSTEM = 0x2E;
    private static final int CAPABILITIES = 0x34;
    private static final int INTERRUPT_LINE = 0x3C;
    private static final int INTERRUPT_PIN = 0x3D;
    private static final int FIRST_CAPABILITY = 0x40;
    private static final int CAPABILITY_HEADER = 2;

    private static final int PIN_A = 1;
    /** A line that is unknown, or none (6.2.4, footnote 43): guests learn it from ACPI. */
    private static final int LINE_UNKNOWN = 0xFF;

    private final byte[] values = new byte[SIZE];
    private final byte[] writable = new byte[SIZE];
    private final PciCapability[] capabilities = new PciCapability[SIZE];
    private final int[] contentStart = new int[SIZE];
    private int next = FIRST_CAPABILITY;
    private int lastLink = CAPABILITIES;

    /** What of a function's interrupts is in its configuration space. */
    enum Pin {
        NONE,
        INTA
    }

    ConfigSpace(PciIdentity identity, Pin pin) {
        set(VENDOR, 2, identity.vendor());
        set(DEVICE, 2, identity.device());
        set(REVISION, 1, identity.revision());
        set(CLASS_CODE, 3, identity.classCode());
        set(SUBSYSTEM_VENDOR, 2, identity.subsystemVendor());
        set(SUBSYSTEM, 2, identity.subsystem());
        allow(COMMAND, 2, COMMAND_WRITABLE);
        // Not used; guests write it, and read back what they wrote.
        allow(CACHE_LINE_SIZE, 1, -1);
        if (pin == Pin.INTA) {
            set(INTERRUPT_PIN, 1, PIN_A);
            allow(INTERRUPT_LINE, 1, -1);
        }
    }

    /**
     * Adds a capability whose content answers for itself at the end of the list.
     *
     * @throws IllegalArgumentException if there is no room
     */
    void add(String owner, PciCapability capability) {
        int content = add(owner, capability.id(), capability.length());
        for (int i = content; i < content + capability.length(); i++) {
            capabilities[i] = capability;
            contentStart[i] = content;
        }
    }

    /**
     * Adds a capability whose content is in this space, zeros at first.
     *
     * @return where the content is
     * @throws IllegalArgumentException if there is no room
     */
    int add(String owner, int id, int length) {
        int content = next + CAPABILITY_HEADER;
        if (content + length > SIZE) {
            throw new IllegalArgumentException(owner + " has PCI capabilities that end at " + (content + length)
                    + "; configuration space has " + SIZE + " bytes");
        }
        values[STATUS] |= STATUS_CAPABILITIES;
        set(lastLink, 1, next);
        set(next, 1, id);
        lastLink = next + 1;
        // The two lowest bits of a link are reserved (6.7).
        next = (content + length + 3) & ~3;
        return content;
    }

    /** Returns a field of this space itself, not of a capability's content. */
    long get(int offset, int length) {
        long value = 0;
        for (int i = 0; i < length; i++) {
            value |= (values[offset + i] & 0xFFL) << (i * Byte.SIZE);
        }
        return value;
    }

    /** Sets a field of this space itself, whether the guest may write it or not. */
    void set(int offset, int length, long value) {
        for (int i = 0; i < length; i++) {
            values[offset + i] = (byte) (value >>> (i * Byte.SIZE));
        }
    }

    /** Lets the guest write bits of a field. */
    void allow(int offset, int length, long mask) {
        for (int i = 0; i < length; i++) {
            writable[offset + i] = (byte) (mask >>> (i * Byte.SIZE));
        }
    }

    /** Sets what the guest can write as firmware leaves it, base address registers aside: memory accesses are enabled. */
    void powerOn() {
        restore(new byte[SIZE]);
        set(COMMAND, 2, COMMAND_MEMORY);
        if (values[INTERRUPT_PIN] != 0) {
            set(INTERRUPT_LINE, 1, LINE_UNKNOWN);
        }
    }

    /** Sets "Interrupt Status": whether the function wants an interrupt by its pin, disabled or not (6.2.3). */
    void setPinAsserted(boolean asserted) {
        values[STATUS] =
                (byte) (asserted ? values[STATUS] | STATUS_PIN_ASSERTED : values[STATUS] & ~STATUS_PIN_ASSERTED);
    }

    /** Reads for the guest. The bytes must be inside. */
    long read(int offset, int length) {
        PciCapability capability = capabilities[offset];
        if (capability != null && isInside(capability, offset, length)) {
            return capability.registers().read(offset - contentStart[offset], length);
        }
        if (length == 1) {
            return get(offset, 1);
        }
        long value = 0;
        for (int i = 0; i < length; i++) {
            value |= (read(offset + i, 1) & 0xFFL) << (i * Byte.SIZE);
        }
        return value;
    }

    /** Writes for the guest. The bytes must be inside. */
    void write(int offset, int length, long value) {
        PciCapability capability = capabilities[offset];
        if (capability != null && isInside(capability, offset, length)) {
            capability.registers().write(offset - contentStart[offset], length, value);
        } else if (length == 1) {
            take(offset, (byte) value);
        } else {
            for (int i = 0; i < length; i++) {
                write(offset + i, 1, value >>> (i * Byte.SIZE) & 0xFF);
            }
        }
    }

    private boolean isInside(PciCapability capability, int offset, int length) {
        return offset + length <= contentStart[offset] + capability.length();
    }

    private void take(int offset, byte value) {
        values[offset] = (byte) ((values[offset] & ~writable[offset]) | (value & writable[offset]));
    }

    byte[] toBytes() {
        return values.clone();
    }

    /** Takes over the bits that the guest may write from bytes of any value. */
    void restore(byte[] bytes) {
        for (int offset = 0; offset < SIZE; offset++) {
            take(offset, bytes[offset]);
        }
    }
}
