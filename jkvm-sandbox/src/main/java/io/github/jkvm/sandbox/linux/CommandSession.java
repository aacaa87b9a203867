package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.linux.OutputSink.Credit;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** The host's end of a command that runs. One thread pumps; others may feed it input and signals. */
final class CommandSession {
    /** How many bytes of a stream may be on their way. */
    static final int WINDOW = 256 << 10;

    /** How a command ended. */
    record Exit(boolean bySignal, int number) {}

    private final Call call;
    private final AgentConnection connection;
    private final Stream output;
    private final Stream errors;
    private final CommandInput input;
    private final OutputSink outputSink;
    private final OutputSink errorsSink;
    private volatile @Nullable Exit exit;

    /** One of the two streams. */
    private final class Stream {
        final int number;
        final OutputSink sink;

        /** How many bytes the agent may still send. */
        final AtomicInteger window = new AtomicInteger();

        boolean ended;

        Stream(int number, OutputSink sink) {
            this.number = number;
            this.sink = sink;
        }

        void begin() {
            Credit credit = this::grant;
            sink.begin(credit);
            grant(WINDOW);
        }

        void grant(int bytes) {
            window.addAndGet(bytes);
            connection.send(FrameType.CREDIT, out -> out.put((byte) number).putInt(bytes));
        }

        void take(ByteBuffer bytes) throws IOException {
            int count = bytes.remaining();
            if (ended || window.addAndGet(-count) < 0) {
                throw new AgentFault("the agent sends more output than it may");
            }
            call.count(count);
            sink.accept(bytes);
        }

        void end() {
            if (ended) {
                throw new AgentFault("the agent ends a stream twice");
            }
            ended = true;
            sink.end();
        }
    }

    CommandSession(Call call, OutputSink output, OutputSink errors) {
        this.call = call;
        this.connection = call.connection();
        this.outputSink = output;
        this.errorsSink = errors;
        this.output = new Stream(1, output);
        this.errors = new Stream(2, errors);
        this.input = new CommandInput(connection);
    }

    /**
     * Starts the command.
     *
     * @throws SandboxException if the guest can't run it
     */
    void start(CommandOrder order) {
        order.send(connection);
        Frame answer = connection.read();
        switch (answer.type()) {
            case STARTED -> answer.checkSize(Integer.BYTES);
            case FAILED -> throw new SandboxException(answer.failure());
            default -> throw answer.unexpected();
        }
        output.begin();
        errors.begin();
    }

    CommandInput input() {
        return input;
    }

    void signal(int number) {
        connection.send(FrameType.SIGNAL, out -> out.putInt(number));
    }

    /** Returns how the command ended, or null if it has not. */
    @Nullable
    Exit exit() {
        return exit;
    }

    /**
     * Takes what the agent says next.
     *
     * @return false if that was the last
     * @throws IOException if a sink refuses output
     */
    boolean pump() throws IOException {
        Frame frame = connection.read();
        switch (frame.type()) {
            case OUTPUT -> output.take(frame.payload());
            case ERRORS -> errors.take(frame.payload());
            case ENDED -> ended(frame.checkSize(1).payload().get());
            case CREDIT -> input.grant(frame.checkSize(Integer.BYTES).payload().getInt());
            case DEAF -> input.deafen();
            case EXITED -> exited(frame.checkSize(1 + Integer.BYTES).payload());
            default -> throw frame.unexpected();
        }
        return exit == null || !output.ended || !errors.ended;
    }

    private void ended(byte stream) {
        switch (stream) {
            case 1 -> output.end();
            case 2 -> errors.end();
            default -> throw new AgentFault("the agent ends a stream that there is not: " + stream);
        }
    }

    private void exited(ByteBuffer how) {
        byte kind = how.get();
        int number = how.getInt();
        // wait(2): a status has 8 bits, and a signal's number 7.
        if (exit != null || kind < 0 || kind > 1 || number < 0 || number > (kind == 0 ? 255 : 127)) {
            throw new AgentFault("the agent tells of an end that can't be: " + kind + ", " + number);
        }
        exit = new Exit(kind == 1, number);
        input.deafen();
    }

    /** Returns how the command ended, which it has. */
    Exit requireExit() {
        return Objects.requireNonNull(exit, "the command has ended");
    }

    /** Lets go of all that wait for the command's streams. */
    void abandon() {
        outputSink.end();
        errorsSink.end();
        input.deafen();
    }
}
