package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.regex.Pattern;

/** The numbers of tar archives. */
final class TarNumbers {
    private static final Pattern DECIMAL = Pattern.compile("-?[0-9]{1,18}");
    private static final Pattern TIME = Pattern.compile("-?[0-9]{1,18}(\\.[0-9]{0,40})?");

    private TarNumbers() {}

    /**
     * A point in time.
     *
     * @param seconds since 1970
     * @param nanoseconds of that second
     */
    record Time(long seconds, int nanoseconds) {}

    /** Reads a number of a header: octal digits, or GNU tar's base 256 if the highest bit of the field is set. */
    static long parse(byte[] header, int offset, int length) throws IOException {
        if ((header[offset] & 0x80) != 0) {
            return parseBinary(header, offset, length);
        }
        int at = offset;
        int end = offset + length;
        while (at < end && (header[at] == ' ' || header[at] == 0)) {
            at++;
        }
        long value = 0;
        for (; at < end && header[at] != ' ' && header[at] != 0; at++) {
            int digit = header[at] - '0';
            if (digit < 0 || digit > 7) {
                throw new IOException("a header's number has the byte 0x" + Integer.toHexString(header[at] & 0xFF));
            }
            value = (value << 3) + digit;
        }
        return value;
    }

    /** A two's complement number, the first bit of which is the mark; its sign is the next (GNU tar, "Large or Negative Values"). */
    private static long parseBinary(byte[] header, int offset, int length) throws IOException {
        boolean negative = (header[offset] & 0x40) != 0;
        long value = negative ? -1 : 0;
        for (int i = 0; i < length; i++) {
            int octet = Byte.toUnsignedInt(header[offset + i]);
            if (i == 0) {
                octet = negative ? octet : octet & 0x3F;
            }
            long next = (value << 8) | octet;
            if (next >> 8 != value) {
                throw new IOException("a header's number has more than 64 bits");
            }
            value = next;
        }
        return value;
    }

    /** Reads a whole number of an extended header. */
    static long parseDecimal(String key, String text) throws IOException {
        if (!DECIMAL.matcher(text).matches()) {
            throw new IOException("an extended header has the " + key + " '" + Descriptor.shown(text) + "'");
        }
        return Long.parseLong(text);
    }

    /** Reads a time of an extended header: seconds with a fraction. Rounds down to nanoseconds. */
    static Time parseTime(String text) throws IOException {
        if (!TIME.matcher(text).matches()) {
            throw new IOException("an extended header has the time '" + Descriptor.shown(text) + "'");
        }
        BigDecimal time = new BigDecimal(text);
        BigDecimal seconds = time.setScale(0, RoundingMode.FLOOR);
        int nanoseconds = time.subtract(seconds)
                .movePointRight(9)
                .setScale(0, RoundingMode.FLOOR)
                .intValue();
        return new Time(seconds.longValue(), nanoseconds);
    }
}
