package io.github.jkvm.sandbox.linux;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * A file, folder or link on its way between host and guest.
 *
 * @param kind which of them
 * @param mode its permissions
 * @param seconds when it was changed, since 1970
 * @param name its path below what is copied; empty for that itself
 * @param target where a link leads
 */
record EntryHeader(Kind kind, int mode, long seconds, String name, String target) {
    /** Kinds of entries. */
    enum Kind {
        FILE('f'),
        FOLDER('d'),
        LINK('l'),
        OTHER('o');

        private final byte code;

        Kind(char letter) {
            code = (byte) letter;
        }

        static Kind of(byte code) {
            for (Kind kind : values()) {
                if (kind.code == code) {
                    return kind;
                }
            }
            throw new AgentFault("the agent tells of a file of the kind " + code);
        }
    }

    private static final int SIZE = 15;
    private static final int MODES = 0xFFF;

    /**
     * Reads what the agent sends.
     *
     * @throws AgentFault if it is no entry
     * @throws CharacterCodingException if a name is not UTF-8
     */
    static EntryHeader read(Frame frame) throws CharacterCodingException {
        ByteBuffer in = frame.payload();
        if (in.remaining() < SIZE) {
            throw new AgentFault("the agent tells of a file in " + in.remaining() + " bytes");
        }
        Kind kind = Kind.of(in.get());
        int mode = in.getInt() & MODES;
        long seconds = in.getLong();
        int length = Short.toUnsignedInt(in.getShort());
        if (length > in.remaining()) {
            throw new AgentFault("the agent tells of a name of " + length + " bytes, which are not there");
        }
        String name = text(in.slice(in.position(), length));
        String target = text(in.position(in.position() + length));
        return new EntryHeader(kind, mode, seconds, name, target);
    }

    private static String text(ByteBuffer bytes) throws CharacterCodingException {
        return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    }

    void send(AgentConnection connection) {
        byte[] path = name.getBytes(StandardCharsets.UTF_8);
        connection.send(
                FrameType.ENTRY,
                out -> out.put(kind.code)
                        .putInt(mode)
                        .putLong(seconds)
                        .putShort((short) path.length)
                        .put(path)
                        .put(target.getBytes(StandardCharsets.UTF_8)));
    }
}
