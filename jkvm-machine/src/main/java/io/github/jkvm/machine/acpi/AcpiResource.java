package io.github.jkvm.machine.acpi;

import java.io.ByteArrayOutputStream;

/** Something a device takes up: ports, memory or an interrupt, as a resource descriptor (ACPI 6.5, 6.4). Immutable. */
public final class AcpiResource {
    /* Tags with the length of what follows for small descriptors (6.4.2), tags alone for large ones (6.4.3). */
    private static final int TAG_IRQ = 0x22;
    private static final int TAG_PORTS = 0x47;
    private static final int TAG_END = 0x79;
    private static final int TAG_MEMORY_32 = 0x86;
    private static final int TAG_DWORD_ADDRESS = 0x87;
    private static final int TAG_WORD_ADDRESS = 0x88;
    private static final int TAG_QWORD_ADDRESS = 0x8A;
    private static final int TAG_INTERRUPT = 0x89;

    /* What an address space descriptor describes, and its general flags (6.4.3.5.1). */
    private static final int KIND_MEMORY = 0;
    private static final int KIND_BUS_NUMBERS = 2;
    private static final int CONSUMED = 1;
    private static final int BOTH_ENDS_FIXED = 0x0C;
    private static final int MEMORY_WRITABLE = 1;

    private static final int MAX_PORTS = 255;
    private static final int MAX_BUS = 255;
    private static final int MAX_ISA_INTERRUPT = 15;

    private final byte[] bytes;

    /** How an interrupt is signalled. */
    public enum Trigger {
        /** By a rising edge. */
        EDGE,
        /** By staying high. */
        LEVEL
    }

    private AcpiResource(ByteArrayOutputStream out) {
        this.bytes = out.toByteArray();
    }

    /**
     * I/O ports at a fixed place.
     *
     * @param first the first port, 0 to 0xffff
     * @param count how many, 1 to 255
     * @return the resource
     * @throws IllegalArgumentException if they are out of range
     */
    public static AcpiResource ports(int first, int count) {
        if (first < 0 || count < 1 || count > MAX_PORTS || first + count > 0x1_0000) {
            throw new IllegalArgumentException("resource of " + count + " ports from 0x" + Integer.toHexString(first)
                    + ": ports are 0 to 0xffff, at most " + MAX_PORTS + " in one resource");
        }
        var out = new ByteArrayOutputStream();
        out.write(TAG_PORTS);
        out.write(1); // all 16 address bits are decoded
        LittleEndian.write(out, first, Short.BYTES);
        LittleEndian.write(out, first, Short.BYTES);
        out.write(1); // alignment
        out.write(count);
        return new AcpiResource(out);
    }

    /**
     * An interrupt of the ISA bus: edge-triggered, active high.
     *
     * @param irq its number, 0 to 15
     * @return the resource
     * @throws IllegalArgumentException if it is out of range
     */
    public static AcpiResource isaInterrupt(int irq) {
        if (irq < 0 || irq > MAX_ISA_INTERRUPT) {
            throw new IllegalArgumentException("ISA interrupt " + irq + " must be from 0 to " + MAX_ISA_INTERRUPT
                    + "; use interrupt() for others");
        }
        var out = new ByteArrayOutputStream();
        out.write(TAG_IRQ);
        LittleEndian.write(out, 1L << irq, Short.BYTES);
        return new AcpiResource(out);
    }

    /**
     * An interrupt of any number, active high, not shared.
     *
     * @param gsi the global system interrupt, from 0
     * @param trigger how it is signalled
     * @return the resource
     * @throws IllegalArgumentException if the number is negative
     */
    public static AcpiResource interrupt(int gsi, Trigger trigger) {
        if (gsi < 0) {
            throw new IllegalArgumentException("interrupt " + gsi + " must be 0 or more");
        }
        var out = new ByteArrayOutputStream();
        out.write(TAG_INTERRUPT);
        LittleEndian.write(out, 6, Short.BYTES);
        // Bit 0: the device consumes it; bit 1: edge; bit 2 clear: active high; bit 3 clear: exclusive (6.4.3.6).
        out.write(trigger == Trigger.EDGE ? 0b0011 : 0b0001);
        out.write(1);
        LittleEndian.write(out, gsi, Integer.BYTES);
        return new AcpiResource(out);
    }

    /**
     * Device registers at a fixed place in memory.
     *
     * @param base guest-physical address of the first
     * @param size size in bytes, 1 or more
     * @return the resource
     * @throws IllegalArgumentException if the size is not positive or the range passes the end of the address space
     */
    public static AcpiResource memory(long base, long size) {
        long last = lastOf(base, size);
        var out = new ByteArrayOutputStream();
        if (last >>> Integer.SIZE == 0) {
            out.write(TAG_MEMORY_32);
            LittleEndian.write(out, 9, Short.BYTES);
            out.write(1); // writable
            LittleEndian.write(out, base, Integer.BYTES);
            LittleEndian.write(out, size, Integer.BYTES);
        } else {
            addressSpace(out, KIND_MEMORY, CONSUMED, base, last);
        }
        return new AcpiResource(out);
    }

    /**
     * A range of memory that a bridge hands on to the devices behind it.
     *
     * @param base guest-physical address of the first byte
     * @param size size in bytes, 1 or more
     * @return the resource
     * @throws IllegalArgumentException if the size is not positive or the range passes the end of the address space
     */
    public static AcpiResource window(long base, long size) {
        long last = lastOf(base, size);
        var out = new ByteArrayOutputStream();
        addressSpace(out, KIND_MEMORY, 0, base, last);
        return new AcpiResource(out);
    }

    /**
     * The numbers of the buses behind a host bridge.
     *
     * @param first the first number, 0 to 255
     * @param last the last number, from the first to 255
     * @return the resource
     * @throws IllegalArgumentException if they are out of range
     */
    public static AcpiResource busNumbers(int first, int last) {
        if (first < 0 || last < first || last > MAX_BUS) {
            throw new IllegalArgumentException(
                    "bus numbers " + first + " to " + last + " must be in order, and from 0 to " + MAX_BUS);
        }
        var out = new ByteArrayOutputStream();
        addressSpace(out, KIND_BUS_NUMBERS, 0, first, last);
        return new AcpiResource(out);
    }

    /** An address space descriptor with fields as wide as they need to be (6.4.3.5.1 to 6.4.3.5.3); bus numbers have 16 bits. */
    private static void addressSpace(ByteArrayOutputStream out, int kind, int consumed, long first, long last) {
        int width = kind == KIND_BUS_NUMBERS ? Short.BYTES : last >>> Integer.SIZE == 0 ? Integer.BYTES : Long.BYTES;
        out.write(
                width == Short.BYTES
                        ? TAG_WORD_ADDRESS
                        : width == Integer.BYTES ? TAG_DWORD_ADDRESS : TAG_QWORD_ADDRESS);
        LittleEndian.write(out, 3 + 5L * width, Short.BYTES);
        out.write(kind);
        out.write(BOTH_ENDS_FIXED | consumed);
        out.write(kind == KIND_MEMORY ? MEMORY_WRITABLE : 0); // not cached
        LittleEndian.write(out, 0, width); // granularity
        LittleEndian.write(out, first, width);
        LittleEndian.write(out, last, width);
        LittleEndian.write(out, 0, width); // translation
        LittleEndian.write(out, last - first + 1, width);
    }

    private static long lastOf(long base, long size) {
        long last = base + size - 1;
        if (size < 1 || Long.compareUnsigned(last, base) < 0) {
            throw new IllegalArgumentException("memory resource of " + size + " bytes at 0x" + Long.toHexString(base)
                    + " must have a byte and end in the address space");
        }
        return last;
    }

    static byte[] template(AcpiResource... resources) {
        var out = new ByteArrayOutputStream();
        for (AcpiResource resource : resources) {
            out.writeBytes(resource.bytes);
        }
        out.write(TAG_END);
        out.write(0); // a checksum of 0 counts as right (6.4.2.9)
        return out.toByteArray();
    }
}
