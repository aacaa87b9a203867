package io.github.jkvm.sandbox.function;

import io.github.jkvm.sandbox.Limit;
import io.github.jkvm.sandbox.LimitExceededException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * The host's view of a call page and the room behind it: {@code struct jkvm_page} of jkvm-sandbox.c, little-endian.
 *
 * <p>The guest can change the page at any time. Each number of it is read once; addresses are checked to lie in the room before anything is read there,
 * and what is read is copied before it is looked at.
 */
final class CallPage {
    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED;

    /** Where the guest goes on. */
    static final int NEXT = 0x00;

    /** Function to call. */
    static final int FUNCTION = 0x08;

    /** What the other side is told: one of the messages. */
    static final int MESSAGE = 0x10;

    /** Number of a function or error of the host. */
    static final int INDEX = 0x18;

    /** The result, in two words; or address of the arguments. */
    static final int VALUE = 0x20;

    /** Address of the result's type. */
    static final int RESULT_TYPE = 0x30;

    private static final int STACK_TOP = 0x38;

    /** Where the guest's heap goes on. */
    static final int HEAP = 0x40;

    private static final int HEAP_END = 0x48;

    /** Innermost place that catches errors. */
    static final int CATCHING = 0x50;

    private static final int ROOM = 0x58;
    private static final int ROOM_END = 0x60;

    /** Address of the message of the host's last error. */
    static final int ERROR = 0x68;

    private static final int ROOM_START = 0x78;

    /** Arguments in registers for whole numbers. */
    static final int INTS = 0x80;

    /** Arguments in registers for floating point. */
    static final int FLOATS = 0xB0;

    /** How many words of arguments go on the stack. */
    static final int EXTRAS = 0xF0;

    private static final int OWN = 0xF8;

    /** Arguments on the stack. */
    static final int EXTRA = 0x100;

    /** Most of those, in words. */
    static final int MAX_EXTRAS = 32;

    /** Where the room for values of variable size begins, in bytes behind the page's start. */
    static final int ROOM_OFFSET = EXTRA + MAX_EXTRAS * Long.BYTES;

    /** Bytes at the end that are kept for messages of errors, which must find room at any time. */
    private static final int ERROR_BYTES = 512;

    /** Most characters of those, each of which takes three bytes at most. */
    private static final int ERROR_CHARS = (ERROR_BYTES - 1) / 3;

    /** Least bytes of a page with its room. */
    static final int LEAST_BYTES = GuestImage.PAGE;

    /** Message of the guest: the function has returned. */
    static final int RESULT = 0;

    /** Message of the guest: the function has failed. */
    static final int FAILED = 1;

    /** Message of the guest: it calls a function of the host. */
    static final int HOST_CALL = 2;

    /** Message of the host: its function has returned. */
    static final int HOST_RESULT = 3;

    /** Message of the host: its function has failed. */
    static final int HOST_ERROR = 4;

    private final long address;
    private MemorySegment bytes;
    private long room = ROOM_OFFSET;
    private long argumentsEnd = ROOM_OFFSET;
    private long outputLimit;
    private long outputLeft;

    /**
     * Creates a view.
     *
     * @param address where the page is in the guest
     * @param bytes the page and its room
     */
    CallPage(long address, MemorySegment bytes) {
        this.address = address;
        this.bytes = bytes;
    }

    /** Writes what the guest's side finds in its page all the time. */
    static void prepare(MemorySegment bytes, long address, long heapEnd) {
        bytes.set(WORD, STACK_TOP, address);
        bytes.set(WORD, HEAP_END, heapEnd);
        bytes.set(WORD, ROOM_END, address + bytes.byteSize() - ERROR_BYTES);
        bytes.set(WORD, ROOM_START, address + ROOM_OFFSET);
        bytes.set(WORD, OWN, address);
    }

    /** The page may be somewhere else now. */
    void moved(MemorySegment newBytes) {
        bytes = newBytes;
    }

    /** Begins a call that may take so many bytes out of the guest. */
    void begin(long output) {
        outputLimit = output;
        outputLeft = output;
        room = ROOM_OFFSET;
    }

    /** Ends the arguments: keeps them, and tells the guest which part of the room they take. */
    void endArguments() {
        argumentsEnd = room;
        setWord(ROOM, address + room);
    }

    /** Begins an answer, which goes behind the arguments: the guest may still look at those. */
    void beginAnswer() {
        room = argumentsEnd;
    }

    long word(long offset) {
        return bytes.get(WORD, offset);
    }

    void setWord(long offset, long value) {
        bytes.set(WORD, offset, value);
    }

    /** The bytes, at offsets that {@link #take} or {@link #offset} gave. */
    MemorySegment bytes() {
        return bytes;
    }

    /**
     * Takes room for a value that the guest is given.
     *
     * @return its offset, a multiple of 8
     * @throws IllegalArgumentException if there is not as much
     */
    long take(long size) {
        long start = (room + Long.BYTES - 1) & -Long.BYTES;
        long left = bytes.byteSize() - ERROR_BYTES - start;
        if (size > left) {
            throw new IllegalArgumentException("a value of " + size + " bytes does not fit into the "
                    + Math.max(0, left) + " bytes that are left of a message of " + bytes.byteSize()
                    + " bytes; build the sandbox with larger messages");
        }
        room = start + size;
        return start;
    }

    /** Address in the guest of what is at an offset. */
    long addressOf(long offset) {
        return address + offset;
    }

    /**
     * Checks an address that the guest gave.
     *
     * @return its offset
     * @throws FunctionGuest.CrashException if the bytes are not all in the room
     */
    long offset(long pointer, long size) {
        long offset = pointer - address;
        if (offset < ROOM_OFFSET || size < 0 || size > bytes.byteSize() || offset > bytes.byteSize() - size) {
            throw new FunctionGuest.CrashException("gave " + Long.toUnsignedString(size) + " bytes at 0x"
                    + Long.toHexString(pointer) + ", which are not in its message");
        }
        return offset;
    }

    /**
     * Counts bytes that the guest puts out.
     *
     * @throws CallEnded if they are more than it may
     */
    void spend(long size) {
        if (size > outputLeft) {
            throw new CallEnded(new LimitExceededException(
                    Limit.OUTPUT, "the call put out more than " + outputLimit + " bytes, its limit"));
        }
        outputLeft -= size;
    }

    /** Puts a text into the room and returns its address. */
    long putText(String text) {
        int nul = text.indexOf('\0');
        if (nul >= 0) {
            throw new IllegalArgumentException(
                    "the string has a NUL at index " + nul + ", which would end it in C; give it as a byte[]");
        }
        ByteBuffer utf8;
        try {
            utf8 = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
        } catch (CharacterCodingException unpaired) {
            throw new IllegalArgumentException(
                    "the string has half of a surrogate pair, which UTF-8 can't say; mend it, or give it as a byte[]",
                    unpaired);
        }
        int length = utf8.remaining();
        long offset = take(length + 1L);
        MemorySegment.copy(utf8.array(), utf8.arrayOffset(), bytes, ValueLayout.JAVA_BYTE, offset, length);
        bytes.set(ValueLayout.JAVA_BYTE, offset + length, (byte) 0);
        return addressOf(offset);
    }

    /** Puts the message of an error where there is always room, as much of it as fits, and returns its address. */
    long putError(String message) {
        String some =
                message.substring(0, Math.min(message.length(), ERROR_CHARS)).replace('\0', ' ');
        byte[] utf8 = some.getBytes(StandardCharsets.UTF_8);
        long offset = bytes.byteSize() - ERROR_BYTES;
        MemorySegment.copy(utf8, 0, bytes, ValueLayout.JAVA_BYTE, offset, utf8.length);
        bytes.set(ValueLayout.JAVA_BYTE, offset + utf8.length, (byte) 0);
        return addressOf(offset);
    }

    /** Reads a text; what is not UTF-8 of it becomes U+FFFD. */
    String text(long pointer) {
        long start = offset(pointer, 1);
        long end = start;
        while (bytes.get(ValueLayout.JAVA_BYTE, end) != 0) {
            end++;
            if (end == bytes.byteSize()) {
                throw new FunctionGuest.CrashException(
                        "gave a string at 0x" + Long.toHexString(pointer) + " that has no end in its message");
            }
        }
        spend(end - start);
        return new String(copy(start, end - start), StandardCharsets.UTF_8);
    }

    /** Puts bytes into the room and returns their address. */
    long putBytes(byte[] value) {
        long offset = take(value.length);
        MemorySegment.copy(value, 0, bytes, ValueLayout.JAVA_BYTE, offset, value.length);
        return addressOf(offset);
    }

    /** Reads bytes. */
    byte[] bytes(long pointer, long length) {
        long start = offset(pointer, length);
        spend(length);
        return copy(start, length);
    }

    private byte[] copy(long offset, long length) {
        byte[] copy = new byte[(int) length];
        MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, offset, copy, 0, copy.length);
        return copy;
    }
}
