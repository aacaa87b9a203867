package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;

/** A command that was started in a guest, until its end. Safe for use by many threads. */
public final class CommandProcess implements AutoCloseable {
    /** How much of the input is read at once. */
    private static final int CHUNK = 16 << 10;

    /**
     * How a command ended.
     *
     * @param bySignal whether a signal ended it
     * @param number the signal, or the exit status
     * @param wallTime how long it took
     * @param cpuTime for how long the guest's processors worked meanwhile
     */
    public record Ending(boolean bySignal, int number, Duration wallTime, Duration cpuTime) {}

    private final Call call;
    private final CommandSession session;
    private final CompletableFuture<Ending> ending = new CompletableFuture<>();

    private CommandProcess(Call call, CommandSession session) {
        this.call = call;
        this.session = session;
    }

    /**
     * Starts a command.
     *
     * @param calls the sandbox's calls
     * @param limits what it may use
     * @param order what is to be run
     * @param output where its standard output goes
     * @param errors where its standard error goes
     * @return the command, which goes on as long as {@link #pump()} or {@link #pumpInBackground} does
     */
    public static CommandProcess start(
            Calls calls, Limits limits, CommandOrder order, OutputSink output, OutputSink errors) {
        Call call = calls.begin(limits);
        try {
            var session = new CommandSession(call, output, errors);
            session.start(order);
            return new CommandProcess(call, session);
        } catch (AgentFault fault) {
            SandboxException failure = call.failed(fault);
            call.close();
            throw failure;
        } catch (RuntimeException | Error failure) {
            call.close();
            throw failure;
        }
    }

    /**
     * Returns the command's standard input.
     *
     * @return the stream; closing it is the input's end
     */
    public OutputStream input() {
        return session.input();
    }

    /**
     * Has a thread give the command its input, until either has an end.
     *
     * @param source what it reads; not closed
     */
    public void feedFrom(InputStream source) {
        Thread.ofPlatform().daemon().name("jkvm-sandbox-input").start(() -> {
            try (OutputStream input = session.input()) {
                byte[] chunk = new byte[CHUNK];
                for (int count; (count = source.read(chunk)) >= 0; ) {
                    input.write(chunk, 0, count);
                }
            } catch (IOException e) {
                // No one reads any more, or there is nothing more to read: the command sees an end either way.
                session.input().deafen();
            }
        });
    }

    /**
     * Takes what the command puts out, until its end.
     *
     * @return how it ended
     * @throws SandboxException if it did not come to an end of its own
     * @throws IOException if its output goes nowhere any more; it is killed
     */
    public Ending pump() throws IOException {
        try {
            while (session.pump()) {
                if (session.exit() != null) {
                    completeIfExited();
                }
            }
            completeIfExited();
            return ending.join();
        } catch (AgentFault fault) {
            SandboxException failure = call.failed(fault);
            ending.completeExceptionally(failure);
            throw failure;
        } catch (RuntimeException | Error | IOException failure) {
            ending.completeExceptionally(failure);
            throw failure;
        } finally {
            session.abandon();
            call.close();
        }
    }

    private void completeIfExited() {
        if (!ending.isDone()) {
            CommandSession.Exit exit = session.requireExit();
            ending.complete(new Ending(exit.bySignal(), exit.number(), call.wallTime(), call.cpuTime()));
        }
    }

    /** Has a thread of its own {@link #pump()}. */
    public void pumpInBackground() {
        Thread.ofPlatform().daemon().name("jkvm-sandbox-command").start(() -> {
            try {
                pump();
            } catch (IOException | RuntimeException failure) {
                // Who waits for the end gets it.
                ending.completeExceptionally(failure);
            }
        });
    }

    /**
     * Waits until the command has ended; its output may still be read.
     *
     * @return how it ended
     * @throws SandboxException if it did not come to an end of its own
     * @throws InterruptedException if the thread is interrupted; the command goes on
     */
    public Ending await() throws InterruptedException {
        try {
            return ending.get();
        } catch (ExecutionException e) {
            throw failureOf(e.getCause());
        }
    }

    private static SandboxException failureOf(@Nullable Throwable cause) {
        return switch (Objects.requireNonNull(cause, "what failed has a cause")) {
            case SandboxException failure -> failure;
            case Throwable other -> new SandboxException("the command failed: " + other.getMessage(), other);
        };
    }

    /**
     * Tells whether the command runs.
     *
     * @return false once it has ended in any way
     */
    public boolean isAlive() {
        return !ending.isDone();
    }

    /**
     * Sends a signal to the command and the processes of its group. Does nothing if it has ended.
     *
     * @param number the signal
     */
    public void signal(int number) {
        if (isAlive()) {
            try {
                session.signal(number);
            } catch (AgentFault fault) {
                // The command is over; who waits for its end hears why.
                session.input().deafen();
            }
        }
    }

    /** Kills the command if it runs, with its group, and drops its output. */
    @Override
    public void close() {
        call.leave();
        session.abandon();
    }
}
