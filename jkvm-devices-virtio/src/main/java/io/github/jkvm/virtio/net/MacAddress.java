package io.github.jkvm.virtio.net;

import java.security.SecureRandom;
import java.util.regex.Pattern;

/**
 * An Ethernet address, as 48 bits: the first byte on the wire is the highest.
 *
 * @param value the bits, 0 to 0xffffffffffff
 */
public record MacAddress(long value) {
    /** Length in bytes. */
    static final int BYTES = 6;

    /** What all stations listen to. */
    static final long BROADCAST = 0xFFFF_FFFF_FFFFL;

    private static final Pattern TEXT = Pattern.compile("[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}");
    private static final long GROUP = 1L << 40;
    private static final long LOCALLY_ADMINISTERED = 1L << 41;
    private static final SecureRandom RANDOM = new SecureRandom();

    /**
     * Checks the range.
     *
     * @throws IllegalArgumentException if there are more than 48 bits
     */
    public MacAddress {
        if (value < 0 || value > BROADCAST) {
            throw new IllegalArgumentException("MAC address 0x" + Long.toHexString(value) + " must have 48 bits");
        }
    }

    /**
     * Reads an address.
     *
     * @param text six bytes in hexadecimal with colons or dashes between them, such as {@code 52:54:00:12:34:56}
     * @return the address
     * @throws IllegalArgumentException if it is written in another way
     */
    public static MacAddress of(String text) {
        if (!TEXT.matcher(text).matches()) {
            throw new IllegalArgumentException("'" + text + "' is no MAC address; write it as in 52:54:00:12:34:56");
        }
        return new MacAddress(Long.parseUnsignedLong(text.replaceAll("[:-]", ""), 16));
    }

    /**
     * Makes an address that nobody was given: a locally administered one of one station.
     *
     * @return an address of random bits
     */
    public static MacAddress random() {
        return new MacAddress((RANDOM.nextLong() & BROADCAST & ~GROUP) | LOCALLY_ADMINISTERED);
    }

    /**
     * Tells whether it stands for many stations: multicast or broadcast.
     *
     * @return true if it is no single station's
     */
    public boolean isGroup() {
        return isGroup(value);
    }

    static boolean isGroup(long address) {
        return (address & GROUP) != 0;
    }

    byte[] toBytes() {
        byte[] bytes = new byte[BYTES];
        for (int i = 0; i < BYTES; i++) {
            bytes[i] = (byte) (value >>> (Byte.SIZE * (BYTES - 1 - i)));
        }
        return bytes;
    }

    /** Returns the address as it is usually written, such as {@code 52:54:00:12:34:56}. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        for (byte each : toBytes()) {
            text.append(text.isEmpty() ? "" : ":").append(String.format("%02x", each & 0xFF));
        }
        return text.toString();
    }
}
