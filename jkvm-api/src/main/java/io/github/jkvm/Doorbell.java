package io.github.jkvm;

import org.jspecify.annotations.Nullable;

/**
 * A place that the guest writes to when it wants a device's attention. The write does not leave the guest: it signals, and the vCPU
 * goes on. Made by {@link Vm#doorbell}; with KVM it is an ioeventfd.
 *
 * <p>Rings that nobody has answered yet merge into one. Use {@link EventLoop#onRing} to have code run for it. Safe for use by
 * many threads.
 */
public interface Doorbell extends AutoCloseable {

    /** Any value rings the doorbell. */
    @Nullable
    Long ANY_VALUE = null;

    /** The address space a doorbell is in. */
    enum Space {
        /** I/O ports (x86). */
        PORT,
        /** Guest-physical memory. */
        MMIO
    }

    /**
     * Which writes ring.
     *
     * @param space ports or memory
     * @param address the port, or the guest-physical address, unsigned
     * @param length length of the write in bytes: 1, 2, 4 or 8, or 0 for any length (then no value may be asked for)
     * @param value the only value that rings, zero- or sign-extended, or null for any
     */
    record Match(
            Space space, long address, int length, @Nullable Long value) {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if the length is none of those, or 8 for a port; if a value is asked for without a length or does not
         *     fit it; or if a port is above 0xffff
         */
        public Match {
            if (length != 0 && length != 1 && length != 2 && length != 4 && length != 8) {
                throw new IllegalArgumentException(
                        "doorbell length " + length + " must be 0 (any), 1, 2, 4 or 8 bytes");
            }
            if (length == 0 && value != null) {
                throw new IllegalArgumentException(
                        "doorbell value " + value + " needs a length of 1, 2, 4 or 8 bytes, got 0");
            }
            if (value != null && !fits(value, length * Byte.SIZE)) {
                throw new IllegalArgumentException("doorbell value 0x" + Long.toHexString(value)
                        + " does not fit a write of " + length + " bytes");
            }
            if (space == Space.PORT && length == Long.BYTES) {
                throw new IllegalArgumentException("doorbell length 8 is too long for a port; give 0 (any), 1, 2 or 4");
            }
            if (space == Space.PORT && (address < 0 || address > 0xFFFF)) {
                throw new IllegalArgumentException("doorbell port 0x" + Long.toHexString(address) + " is above 0xffff");
            }
        }

        private static boolean fits(long value, int bits) {
            return bits == Long.SIZE || value >>> bits == 0 || value >> (bits - 1) == -1;
        }

        /**
         * Returns a match of writes to memory.
         *
         * @param address where
         * @param length how long, in bytes: 1, 2, 4, 8, or 0 for any
         * @return the match, for any value
         * @throws IllegalArgumentException if the length is none of those
         */
        public static Match mmio(GuestAddress address, int length) {
            return new Match(Space.MMIO, address.value(), length, ANY_VALUE);
        }

        /**
         * Returns a match of writes to a port.
         *
         * @param port the port, 0 to 0xffff
         * @param length how long, in bytes: 1, 2, 4, or 0 for any
         * @return the match, for any value
         * @throws IllegalArgumentException if the port or length is out of range
         */
        public static Match port(int port, int length) {
            return new Match(Space.PORT, port, length, ANY_VALUE);
        }

        /**
         * Returns the same match for one value only.
         *
         * @param onlyValue the value
         * @return the match
         * @throws IllegalArgumentException if this match is for any length, or the value does not fit the length
         */
        public Match withValue(long onlyValue) {
            return new Match(space, address, length, onlyValue);
        }
    }

    /**
     * Returns which writes ring.
     *
     * @return what it was made with
     */
    Match match();

    /**
     * Takes the rings that came since the last call, without waiting.
     *
     * @return true if there were any
     * @throws IllegalStateException if this doorbell or its VM is closed
     */
    boolean poll();

    /** Takes the doorbell off: the guest's writes leave the guest again. Closing twice does nothing. */
    @Override
    void close();
}
