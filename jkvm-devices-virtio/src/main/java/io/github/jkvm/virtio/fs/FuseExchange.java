package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseLayout.IN_GID;
import static io.github.jkvm.virtio.fs.FuseLayout.IN_HEADER;
import static io.github.jkvm.virtio.fs.FuseLayout.IN_LEN;
import static io.github.jkvm.virtio.fs.FuseLayout.IN_NODEID;
import static io.github.jkvm.virtio.fs.FuseLayout.IN_OPCODE;
import static io.github.jkvm.virtio.fs.FuseLayout.IN_UID;
import static io.github.jkvm.virtio.fs.FuseLayout.IN_UNIQUE;
import static io.github.jkvm.virtio.fs.FuseLayout.OUT_ERROR;
import static io.github.jkvm.virtio.fs.FuseLayout.OUT_HEADER;
import static io.github.jkvm.virtio.fs.FuseLayout.OUT_LEN;
import static io.github.jkvm.virtio.fs.FuseLayout.OUT_UNIQUE;
import static io.github.jkvm.virtio.fs.FuseLayout.WRITE;
import static io.github.jkvm.virtio.fs.FuseLayout.WRITE_IN;

import io.github.jkvm.kvm.ffi.Errno;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A request and its reply, and the memory to work on them in, which is made once and used for one request after another. Belongs to one
 * thread at a time.
 *
 * <p>The request is copied out of guest memory before it is looked at, so the guest can't change what was checked. Only file data stays
 * where it is.
 */
final class FuseExchange {
    /** Longest request, but for the data of a WRITE: a SETXATTR with a value of 64 KiB and the longest name, with room to spare. */
    static final int MESSAGE_BYTES = 0x1_2000;

    /** Longest reply behind its header, but for the data of a READ: a value of 64 KiB. */
    static final int REPLY_BYTES = 0x1_0000;

    /** The request is too short to have a header, so nothing can be replied. */
    static final int NO_HEADER = 1;

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final MemorySegment message;
    private final MemorySegment reply;
    private final Buffers request;
    private final Buffers answer;
    private final HostScratch scratch;
    private int messageBytes;
    private int dataBytes;
    private boolean dataInPlace;

    /** Allocates the memory, which lives as long as the arena. */
    FuseExchange(Arena arena) {
        message = arena.allocate(MESSAGE_BYTES, Long.BYTES);
        reply = arena.allocate(OUT_HEADER + REPLY_BYTES, Long.BYTES);
        request = new Buffers(arena);
        answer = new Buffers(arena);
        scratch = new HostScratch(arena);
    }

    HostScratch scratch() {
        return scratch;
    }

    /**
     * Takes a request in.
     *
     * @param readable the request's bytes
     * @param writable the room for the reply
     * @return 0; {@code -errno} if it is not well-formed, which can be replied; {@link #NO_HEADER}
     */
    int receive(List<MemorySegment> readable, List<MemorySegment> writable) {
        request.set(readable);
        answer.set(writable);
        messageBytes = 0;
        dataBytes = 0;
        dataInPlace = false;
        if (request.size() < IN_HEADER) {
            return NO_HEADER;
        }
        request.copyTo(0, message.asSlice(0, IN_HEADER));
        messageBytes = IN_HEADER;
        long length = Integer.toUnsignedLong(message.get(INT, IN_LEN));
        if (length < IN_HEADER || length > request.size()) {
            return -Errno.EINVAL;
        }
        long copied = opcode() == WRITE ? Math.min(length, IN_HEADER + WRITE_IN) : length;
        if (copied > MESSAGE_BYTES) {
            return -Errno.E2BIG;
        }
        request.copyTo(IN_HEADER, message.asSlice(IN_HEADER, copied - IN_HEADER));
        messageBytes = (int) copied;
        dataBytes = (int) Math.min(length - copied, Integer.MAX_VALUE);
        return 0;
    }

    int opcode() {
        return message.get(INT, IN_OPCODE);
    }

    long unique() {
        return message.get(LONG, IN_UNIQUE);
    }

    /** The file that the request is about. */
    long node() {
        return message.get(LONG, IN_NODEID);
    }

    /** The user on whose behalf it is. */
    int user() {
        return message.get(INT, IN_UID);
    }

    /** The group of that user. */
    int group() {
        return message.get(INT, IN_GID);
    }

    /** Tells whether there are so many bytes behind the header. */
    boolean hasArguments(int bytes) {
        return messageBytes - IN_HEADER >= bytes;
    }

    /** How many bytes there are behind the header, without the data of a WRITE. */
    int argumentBytes() {
        return messageBytes - IN_HEADER;
    }

    /** How many bytes of data a WRITE has. */
    int dataBytes() {
        return dataBytes;
    }

    int argumentInt(int offset) {
        return message.get(INT, IN_HEADER + offset);
    }

    long argumentLong(int offset) {
        return message.get(LONG, IN_HEADER + offset);
    }

    /** Bytes behind the header; there must be as many. */
    MemorySegment arguments(int offset, int bytes) {
        return message.asSlice(IN_HEADER + offset, bytes);
    }

    /** The text that begins there, with the NUL at its end; null if there is no end. */
    @Nullable
    MemorySegment text(int offset) {
        int first = IN_HEADER + offset;
        for (int at = first; at < messageBytes; at++) {
            if (message.get(ValueLayout.JAVA_BYTE, at) == 0) {
                return message.asSlice(first, at + 1 - first);
            }
        }
        return null;
    }

    /** Writes a WRITE's data to a file. Returns the count, or {@code -errno}. */
    long writeData(int fd, long position, int bytes) {
        return request.writeFile(fd, position, messageBytes, bytes);
    }

    /** Room for the reply behind its header in bytes; negative if there is none for the header. */
    long room() {
        return answer.size() - OUT_HEADER;
    }

    /** Room for a reply that is made here. */
    int replyRoom() {
        return (int) Math.min(room(), REPLY_BYTES);
    }

    /** Reads file data to where the reply's go. Returns the count, or {@code -errno}. */
    long readData(int fd, long position, long bytes) {
        dataInPlace = true;
        return answer.readFile(fd, position, OUT_HEADER, bytes);
    }

    /** Zeros bytes of the reply, so that what is not set tells nothing. */
    void clearReply(int offset, int bytes) {
        reply.asSlice(OUT_HEADER + offset, bytes).fill((byte) 0);
    }

    void putShort(int offset, int value) {
        reply.set(SHORT, OUT_HEADER + offset, (short) value);
    }

    void putInt(int offset, int value) {
        reply.set(INT, OUT_HEADER + offset, value);
    }

    void putLong(int offset, long value) {
        reply.set(LONG, OUT_HEADER + offset, value);
    }

    /** A number that was put. */
    long replyLong(int offset) {
        return reply.get(LONG, OUT_HEADER + offset);
    }

    /** The reply behind its header, to be written. */
    MemorySegment replyBytes(int offset, int bytes) {
        return reply.asSlice(OUT_HEADER + offset, bytes);
    }

    /**
     * Sends the reply.
     *
     * @param result how many bytes follow the header, or {@code -errno}
     * @return how many bytes of the room are written; 0 if there is too little of it
     */
    long send(int result) {
        int bytes = Math.max(result, 0);
        if (room() < bytes) {
            return room() < 0 ? 0 : send(-Errno.EINVAL);
        }
        reply.set(INT, OUT_LEN, OUT_HEADER + bytes);
        reply.set(INT, OUT_ERROR, Math.min(result, 0));
        reply.set(LONG, OUT_UNIQUE, messageBytes >= IN_HEADER ? unique() : 0);
        answer.copyFrom(reply.asSlice(0, OUT_HEADER + (dataInPlace ? 0 : bytes)), 0);
        return (long) OUT_HEADER + bytes;
    }
}
