package io.github.jkvm.sandbox.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * What the agent says.
 *
 * @param type the kind
 * @param payload little-endian, from its position to its limit; good until the next frame is read
 */
record Frame(FrameType type, ByteBuffer payload) {
    /** As much as an argument of a command may have (Linux, include/uapi/linux/binfmts.h, MAX_ARG_STRLEN). */
    static final int MAX_PAYLOAD = 131_072;

    /** The type, and the payload's size. */
    static final int HEADER = 5;

    /** How much of a text from the guest is shown. */
    private static final int MOST_SHOWN = 1024;

    Frame {
        payload.order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Checks that the payload has a size. */
    Frame checkSize(int size) {
        if (payload.remaining() != size) {
            throw new AgentFault("the agent's frame " + type + " has " + payload.remaining() + " bytes, not " + size);
        }
        return this;
    }

    /** Returns the text of a {@link FrameType#FAILED}, made fit for a message. */
    String failure() {
        if (payload.remaining() < Integer.BYTES) {
            throw new AgentFault("the agent's frame " + type + " has " + payload.remaining() + " bytes");
        }
        byte[] text = new byte[Math.min(MOST_SHOWN, payload.remaining() - Integer.BYTES)];
        payload.get(payload.position() + Integer.BYTES, text);
        return new String(text, StandardCharsets.UTF_8).replaceAll("\\p{Cntrl}", "?");
    }

    AgentFault unexpected() {
        return new AgentFault("the agent's frame " + type + " comes where none of its kind may");
    }
}
