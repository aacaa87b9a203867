package io.github.jkvm.machine.boot;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/** Reads little-endian fields of an image; a field that is not all there is a {@link BadKernelException} that names it. */
final class ImageReader {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final String format;
    private final MemorySegment bytes;

    ImageReader(String format, MemorySegment bytes) {
        this.format = format;
        this.bytes = bytes.asReadOnly();
    }

    /** The same image, with another name for the format in the exceptions. */
    ImageReader as(String newFormat) {
        return new ImageReader(newFormat, bytes);
    }

    long size() {
        return bytes.byteSize();
    }

    int u8(String field, long offset) {
        check(field, offset, Byte.BYTES);
        return Byte.toUnsignedInt(bytes.get(ValueLayout.JAVA_BYTE, offset));
    }

    int u16(String field, long offset) {
        check(field, offset, Short.BYTES);
        return Short.toUnsignedInt(bytes.get(SHORT, offset));
    }

    long u32(String field, long offset) {
        check(field, offset, Integer.BYTES);
        return Integer.toUnsignedLong(bytes.get(INT, offset));
    }

    /** Reads 64 bits; the caller treats a negative number as what it is: above any physical address. */
    long u64(String field, long offset) {
        check(field, offset, Long.BYTES);
        return bytes.get(LONG, offset);
    }

    /** Tells whether a number of 32 bits lies at an offset; false where the image has ended. */
    boolean has32(long offset, int value) {
        return offset <= size() - Integer.BYTES && bytes.get(INT, offset) == value;
    }

    private void check(String field, long offset, int length) {
        if (offset < 0 || offset > size() - length) {
            throw bad(field, offset, "cut off by the end of the image", length + " bytes, in an image of " + size());
        }
    }

    /** Returns a part of the image that a field points to. */
    MemorySegment slice(String field, long fieldOffset, long offset, long length) {
        if (offset < 0 || length < 0 || offset > size() || length > size() - offset) {
            throw bad(
                    field,
                    fieldOffset,
                    "0x" + Long.toHexString(offset) + " with a length of 0x" + Long.toHexString(length),
                    "a range inside the image of 0x" + Long.toHexString(size()) + " bytes");
        }
        return bytes.asSlice(offset, length);
    }

    /** Checks that a field's address and length are inside the physical address space. */
    GuestRange range(String field, long fieldOffset, long start, long length) {
        if (start < 0 || length < 0 || start > GuestRange.ADDRESS_SPACE || length > GuestRange.ADDRESS_SPACE - start) {
            throw bad(
                    field,
                    fieldOffset,
                    "0x" + Long.toHexString(start) + " with a length of 0x" + Long.toHexString(length),
                    "a range inside the 2^52 bytes of x86 physical addresses");
        }
        return new GuestRange(start, length);
    }

    BadKernelException bad(String field, long offset, long value, String expected) {
        return bad(field, offset, "0x" + Long.toHexString(value), expected);
    }

    BadKernelException bad(String field, long offset, String value, String expected) {
        return bad(field, offset, value, expected, null);
    }

    BadKernelException bad(String field, long offset, String value, String expected, @Nullable Throwable cause) {
        return new BadKernelException(format, field, offset, value, expected, cause);
    }
}
