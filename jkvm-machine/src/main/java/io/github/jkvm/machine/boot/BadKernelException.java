package io.github.jkvm.machine.boot;

import io.github.jkvm.HypervisorException;
import org.jspecify.annotations.Nullable;

/**
 * A kernel image, or what is packed in it, that is malformed or asks for what this library has not.
 *
 * <p>The text names the format, the field, where it lies, what it holds and what was expected, such as {@code bzImage: version at offset
 * 0x206 is 0x201; expected 0x20c or above (64-bit entry)}.
 */
public final class BadKernelException extends HypervisorException {
    private static final long serialVersionUID = 1L;

    /** The format that was being read. */
    private final String format;

    /** The field, as its specification names it. */
    private final String field;

    /** Where the field lies in the image, in bytes. */
    private final long offset;

    /**
     * Creates an exception about a field.
     *
     * @param format the format that was being read
     * @param field the field, as its specification names it
     * @param offset where it lies in the image, in bytes
     * @param value what it holds
     * @param expected what it should hold
     */
    public BadKernelException(String format, String field, long offset, String value, String expected) {
        this(format, field, offset, value, expected, null);
    }

    /**
     * Creates an exception about a field with a cause.
     *
     * @param format the format that was being read
     * @param field the field, as its specification names it
     * @param offset where it lies in the image, in bytes
     * @param value what it holds
     * @param expected what it should hold
     * @param cause what led to it, or null
     */
    public BadKernelException(
            String format, String field, long offset, String value, String expected, @Nullable Throwable cause) {
        super(
                format + ": " + field + " at offset 0x" + Long.toHexString(offset) + " is " + value + "; expected "
                        + expected,
                cause);
        this.format = format;
        this.field = field;
        this.offset = offset;
    }

    /**
     * Returns the format that was being read.
     *
     * @return its name
     */
    public String format() {
        return format;
    }

    /**
     * Returns the field that is wrong.
     *
     * @return its name in the format's specification
     */
    public String field() {
        return field;
    }

    /**
     * Returns where the field lies.
     *
     * @return its offset in the image, in bytes
     */
    public long offset() {
        return offset;
    }
}
