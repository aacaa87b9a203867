package io.github.jkvm.sandbox.linux;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ByteChannel;
import java.util.concurrent.locks.ReentrantLock;

/** One connection to the agent, as frames. One thread reads; any may send. */
final class AgentConnection implements AutoCloseable {
    private final ByteChannel channel;
    private final ByteBuffer in = ByteBuffer.allocate(Frame.HEADER + Frame.MAX_PAYLOAD)
            .order(ByteOrder.LITTLE_ENDIAN)
            .limit(0);

    private final ReentrantLock sending = new ReentrantLock();

    /** Made when it is used; guarded by {@link #sending}. */
    private final ByteBuffer out =
            ByteBuffer.allocate(Frame.HEADER + Frame.MAX_PAYLOAD).order(ByteOrder.LITTLE_ENDIAN);

    AgentConnection(ByteChannel channel) {
        this.channel = channel;
    }

    /** Makes the payload of a frame. */
    interface Payload {
        void put(ByteBuffer out);
    }

    /**
     * Sends a frame.
     *
     * @param payload puts what is in it: little-endian, at most {@link Frame#MAX_PAYLOAD} bytes
     * @throws AgentFault if the connection is over
     */
    void send(FrameType type, Payload payload) {
        sending.lock();
        try {
            out.clear().put(type.code()).putInt(0);
            payload.put(out);
            out.putInt(1, out.position() - Frame.HEADER).flip();
            while (out.hasRemaining()) {
                channel.write(out);
            }
        } catch (IOException e) {
            throw new AgentFault("the connection to the agent broke: " + e.getMessage(), e);
        } finally {
            sending.unlock();
        }
    }

    void send(FrameType type, byte... payload) {
        send(type, out -> out.put(payload));
    }

    /**
     * Waits for a frame.
     *
     * @throws AgentFault if the connection is over, or the agent sends what is none
     */
    Frame read() {
        fill(Frame.HEADER);
        FrameType type = FrameType.of(in.get());
        int size = in.getInt();
        if (type == null || size < 0 || size > Frame.MAX_PAYLOAD) {
            throw new AgentFault("what the agent sends is no frame");
        }
        fill(size);
        ByteBuffer payload = in.slice(in.position(), size);
        in.position(in.position() + size);
        return new Frame(type, payload);
    }

    private void fill(int count) {
        if (in.remaining() >= count) {
            return;
        }
        in.compact();
        try {
            while (in.position() < count) {
                if (channel.read(in) < 0) {
                    throw new AgentFault("the agent hung up");
                }
            }
        } catch (IOException e) {
            throw new AgentFault("the connection to the agent broke: " + e.getMessage(), e);
        } finally {
            in.flip();
        }
    }

    /** Ends the connection; who waits on it gets an {@link AgentFault}. */
    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new AgentFault("the connection to the agent can't be closed", e);
        }
    }
}
