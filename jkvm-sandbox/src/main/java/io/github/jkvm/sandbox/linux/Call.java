package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.CallCancelledException;
import io.github.jkvm.sandbox.Limit;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.internal.Watchdog;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** One thing that is asked of a guest, with its connection and its limits. What ends it before its time also poisons the sandbox. */
final class Call implements AutoCloseable {
    private final Calls calls;
    private final LinuxGuest guest;
    private final Limits limits;
    private final long startedNanos = System.nanoTime();
    private final long startedCpuNanos;
    private long output;
    private Watchdog.@Nullable Watch watch;
    private @Nullable AgentConnection connection;

    /** Why it is over, if not by itself; guarded by this, as is the connection. */
    private @Nullable SandboxException end;

    Call(Calls calls, LinuxGuest guest, Limits limits) {
        this.calls = calls;
        this.guest = guest;
        this.limits = limits;
        this.startedCpuNanos = guest.cpuNanos();
    }

    /** Connects, with the clock ticking. */
    void open() {
        var begun = Watchdog.watch(
                limits,
                guest.processors(),
                () -> guest.cpuNanos() - startedCpuNanos,
                exceeded -> calls.poison(guest, this, exceeded));
        synchronized (this) {
            watch = begun;
        }
        try {
            var made = new AgentConnection(guest.connect(limits.deadline()));
            synchronized (this) {
                connection = made;
            }
            if (whyOver() != null) {
                made.close();
            }
        } catch (IOException e) {
            throw failed(new AgentFault("the agent does not answer: " + e.getMessage(), e));
        }
    }

    AgentConnection connection() {
        AgentConnection open = connectionOrNull();
        if (open == null) {
            throw new AgentFault("there is no connection to the agent");
        }
        return open;
    }

    private synchronized @Nullable AgentConnection connectionOrNull() {
        return connection;
    }

    /**
     * Counts output.
     *
     * @param bytes how many have come
     * @throws LimitExceededException if they are too many
     */
    void count(long bytes) {
        output += bytes;
        if (output > limits.output()) {
            calls.poison(
                    guest,
                    this,
                    new LimitExceededException(
                            Limit.OUTPUT, "the call put out more than " + limits.output() + " bytes, its limit"));
            throw failed(new AgentFault("too much output"));
        }
    }

    /** Returns what a caller is told of a call that the agent has failed. */
    SandboxException failed(AgentFault fault) {
        SandboxException known = whyOver();
        if (known != null) {
            return known;
        }
        calls.poison(
                guest,
                this,
                fault.getCause() instanceof ClosedByInterruptException
                        ? new CallCancelledException("the call was cancelled: its thread was interrupted", fault)
                        : guest.broken(fault));
        known = whyOver();
        return known == null ? new SandboxException("the call is over: " + fault.getMessage(), fault) : known;
    }

    private synchronized @Nullable SandboxException whyOver() {
        return end;
    }

    /** Says what the call ends with. */
    synchronized void end(SandboxException why) {
        if (end == null) {
            end = why;
        }
    }

    /** Ends the connection, so that no one waits on it. */
    void hangUp() {
        AgentConnection open = connectionOrNull();
        if (open != null) {
            open.close();
        }
    }

    Duration wallTime() {
        return Duration.ofNanos(System.nanoTime() - startedNanos);
    }

    Duration cpuTime() {
        return Duration.ofNanos(guest.cpuNanos() - startedCpuNanos);
    }

    /** Ends the call, whose caller wants no more of it: the sandbox is as good as before. */
    void leave() {
        end(new SandboxException("the call was closed before its end"));
        close();
    }

    /** Ends the call: a command that still runs is killed. */
    @Override
    public void close() {
        Watchdog.Watch watched;
        synchronized (this) {
            watched = watch;
        }
        calls.forget(this);
        if (watched != null) {
            watched.close();
        }
        hangUp();
    }
}
