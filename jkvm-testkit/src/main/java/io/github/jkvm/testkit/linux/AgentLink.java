package io.github.jkvm.testkit.linux;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/** The host's end of the control channel; the other end is the resource {@code agent}, which says what goes over it. */
final class AgentLink {
    /** The word of the marks with which the agent says that it takes requests. */
    static final String HELLO = "agent";

    /** The guest starts a process for each part. */
    private static final int PART = 1 << 18;

    /** Bytes of a script and its input that a serial line takes at once: a tty has no flow control here, and loses what does not fit its buffers. */
    static final int MOST_OVER_LINE = 60_000;

    private final OutputStream requests;
    private final OutputStream input;
    private final MarkedStream output;
    private final MarkedStream errors;

    /** Held by who writes requests; with one line for all, also while input is written. */
    private final ReentrantLock writing = new ReentrantLock();

    private volatile @Nullable Thread writer;

    private AgentLink(OutputStream requests, OutputStream input, MarkedStream output, MarkedStream errors) {
        this.requests = requests;
        this.input = input;
        this.output = output;
        this.errors = errors;
    }

    /** A channel with lines of their own for requests, input and output, and errors. */
    static AgentLink overPorts(OutputStream requests, OutputStream input, MarkedStream output, MarkedStream errors) {
        return new AgentLink(requests, input, output, errors);
    }

    /** A channel of one line. */
    static AgentLink overLine(OutputStream toGuest, MarkedStream fromGuest) {
        return new AgentLink(toGuest, toGuest, fromGuest, fromGuest);
    }

    private boolean isOneLine() {
        return output == errors;
    }

    /** Takes what the agent says when it begins as the end of a command. */
    void expectHello(RunningCommand boot) {
        output.expect(HELLO, boot.outputSink(), boot::streamEnded);
        if (isOneLine()) {
            boot.streamEnded(0);
        } else {
            errors.expect(HELLO, boot.errorSink(), boot::streamEnded);
        }
    }

    /**
     * Refuses a command that does not fit the channel.
     *
     * @throws IllegalArgumentException if its script is too long
     */
    void check(GuestCommand command) {
        int length = command.request().length;
        if (isOneLine() && length > MOST_OVER_LINE) {
            throw new IllegalArgumentException("a script of " + length + " bytes " + tooMuch());
        }
    }

    private static String tooMuch() {
        return "is more than the " + MOST_OVER_LINE + " bytes that the serial line takes of a command and its input;"
                + " use ControlChannel.CONSOLE_PORT, or give the guest files with the builder";
    }

    /** Has a command run. Does not wait for the guest. */
    void start(RunningCommand running) {
        if (isOneLine()) {
            output.expect(running.word(), running.outputSink(), status -> {
                running.streamEnded(status);
                output.expect(running.word(), running.errorSink(), running::streamEnded);
            });
        } else {
            output.expect(running.word(), running.outputSink(), running::streamEnded);
            errors.expect(running.word(), running.errorSink(), running::streamEnded);
        }
        Thread before = writer;
        writer = Thread.ofVirtual().name("linux-input").start(() -> {
            try {
                if (before != null) {
                    before.join();
                }
                send(running);
            } catch (IOException | InterruptedException e) {
                running.lose("the control channel is closed: " + e);
            }
        });
    }

    private void send(RunningCommand running) throws IOException {
        GuestCommand.Input source = running.command().input().orElse(null);
        writing.lock();
        try {
            byte[] script = running.command().request();
            String kind = source == null ? "none" : "stream";
            ask("run " + running.word() + " " + script.length + " " + kind, script);
            running.asked();
            if (source != null && isOneLine()) {
                sendInput(source, running, MOST_OVER_LINE - script.length);
            }
        } finally {
            writing.unlock();
        }
        if (source != null && !isOneLine()) {
            sendInput(source, running, Long.MAX_VALUE);
        }
    }

    private void ask(String request, byte[] rest) throws IOException {
        requests.write((request + "\n").getBytes(StandardCharsets.US_ASCII));
        requests.write(rest);
        requests.flush();
    }

    private void sendInput(GuestCommand.Input source, RunningCommand running, long room) throws IOException {
        var parts = new Parts(running, room);
        try (var buffered = new BufferedOutputStream(parts, PART)) {
            source.writeTo(buffered);
        } catch (IOException e) {
            if (parts.failure != null) {
                throw parts.failure;
            }
            if (running.isRunning()) {
                running.inputFailed("its input can't be read: " + e);
            }
        } catch (RuntimeException e) {
            running.inputFailed("its input can't be had: " + e);
        }
        input.write("0\n".getBytes(StandardCharsets.US_ASCII));
        input.flush();
    }

    /** Sends input in parts, each after its size. Refuses it once the command has ended. */
    private final class Parts extends OutputStream {
        private final RunningCommand running;
        private long room;
        private @Nullable IOException failure;

        Parts(RunningCommand running, long room) {
            this.running = running;
            this.room = room;
        }

        @Override
        public void write(int value) throws IOException {
            write(new byte[] {(byte) value}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            for (int at = 0; at < length; at += PART) {
                if (!running.isRunning()) {
                    throw new IOException("the command has ended");
                }
                int count = Math.min(PART, length - at);
                room -= count;
                if (room < 0) {
                    throw new IOException("it " + tooMuch());
                }
                try {
                    input.write((count + "\n").getBytes(StandardCharsets.US_ASCII));
                    input.write(bytes, offset + at, count);
                    input.flush();
                } catch (IOException e) {
                    failure = e;
                    throw e;
                }
            }
        }
    }

    /** Has a command killed. Does not wait for the guest. */
    void kill(RunningCommand running) {
        Thread.ofVirtual().name("linux-kill").start(() -> {
            try {
                running.awaitAsked();
                writing.lock();
                try {
                    ask("kill " + running.word(), new byte[0]);
                } finally {
                    writing.unlock();
                }
            } catch (IOException | InterruptedException e) {
                running.lose("the control channel is closed: " + e);
            }
        });
    }
}
