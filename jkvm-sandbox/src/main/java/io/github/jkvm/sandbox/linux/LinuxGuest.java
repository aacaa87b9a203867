package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.GuestCrashedException;
import io.github.jkvm.sandbox.SandboxException;
import java.io.IOException;
import java.nio.channels.ByteChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A Linux guest that runs, wherever: all that a sandbox has to do with it. Safe for use by many threads. */
interface LinuxGuest extends AutoCloseable {
    /**
     * Connects to the agent.
     *
     * @param timeout how long to wait for it
     * @throws IOException if it does not answer, or the guest is stopped
     */
    ByteChannel connect(Duration timeout) throws IOException;

    /** Returns what the agent is to be told of the guest's network, if it has one. */
    Optional<NetworkOrder> network();

    /** Returns for how long the guest's processors have worked, all together, in nanoseconds. */
    long cpuNanos();

    /** Returns how many processors the guest has. */
    int processors();

    /**
     * Says what to do when the guest ends, also by {@link #stop}: at most once, on any thread.
     *
     * @param action gets what callers are told
     */
    void onEnd(Consumer<SandboxException> action);

    /**
     * Returns what callers are told of a guest whose agent has failed them. May wait for a moment.
     *
     * @param fault what it did
     */
    default SandboxException broken(AgentFault fault) {
        return brokeDown(String.valueOf(fault.getMessage()), fault);
    }

    /** Makes what callers are told of a guest that did not keep on. */
    static GuestCrashedException brokeDown(@Nullable String how, @Nullable Throwable cause) {
        return new GuestCrashedException("the guest broke down: " + how + "; restore() brings the sandbox back", cause);
    }

    /** Stops the guest at once and ends its connections, without waiting for that. Does nothing if it has ended. */
    void stop();

    /** Stops the guest, and gives back all that it has of the host. Closing twice does nothing. */
    @Override
    void close();
}
