package io.github.jkvm.sandbox.linux;

import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.virtio.vsock.VsockDevice;
import java.io.IOException;
import java.nio.channels.ByteChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A guest in a machine of this process. */
final class MachineGuest implements LinuxGuest {
    /** How much of what its kernel has printed is told when it ends. */
    private static final int TOLD = 2000;

    /** How the agent's messages begin (agent.c). */
    private static final String AGENT = "jkvm agent: ";

    private final Machine machine;
    private final VsockDevice vsock;
    private final Optional<NetworkOrder> network;
    private final int processors;
    private final ReentrantLock ended = new ReentrantLock();

    /** Guarded by {@link #ended}: what the console has is there to be read once. */
    private @Nullable String ending;

    MachineGuest(Machine machine, VsockDevice vsock, Optional<NetworkOrder> network) {
        this.machine = machine;
        this.vsock = vsock;
        this.network = network;
        this.processors = machine.vcpus().size();
    }

    @Override
    public ByteChannel connect(Duration timeout) throws IOException {
        return vsock.connect(Agent.PORT, timeout);
    }

    @Override
    public Optional<NetworkOrder> network() {
        return network;
    }

    @Override
    public long cpuNanos() {
        return machine.cpuTime().toNanos();
    }

    @Override
    public int processors() {
        return processors;
    }

    @Override
    public void onEnd(Consumer<SandboxException> action) {
        whenEnded(how -> action.accept(LinuxGuest.brokeDown(how, null)));
    }

    /** Says what to do with a sentence about the guest's end, when there is one: once, on a thread of its own. */
    void whenEnded(Consumer<String> action) {
        Thread.ofVirtual().name("jkvm-sandbox-end").start(() -> {
            try {
                action.accept(ending());
            } catch (InterruptedException e) {
                throw new IllegalStateException("no one interrupts this thread", e);
            }
        });
    }

    /** Waits for the machine's end, and tells of it. */
    String ending() throws InterruptedException {
        MachineExit exit = machine.awaitExit();
        ended.lock();
        try {
            if (ending == null) {
                ending = tell(exit);
            }
            return ending;
        } finally {
            ended.unlock();
        }
    }

    private String tell(MachineExit exit) {
        String console;
        try {
            console = new String(machine.console().output().readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            console = "(the console can't be read: " + e.getMessage() + ")";
        }
        // The agent's own reason comes before the long complaint of a kernel that has lost it.
        int reason = console.lastIndexOf(AGENT);
        int from = reason < 0 ? Math.max(0, console.length() - TOLD) : reason;
        String last =
                console.substring(from, Math.min(console.length(), from + TOLD)).strip();
        return "its machine ended, " + exit + (last.isEmpty() ? "" : "; its kernel's last words:\n" + last);
    }

    @Override
    public void stop() {
        machine.stop();
        // Its devices end the connections. That waits for threads, and callers do not.
        Thread.ofPlatform().daemon().name("jkvm-sandbox-closer").start(machine::close);
    }

    @Override
    public void close() {
        machine.close();
    }
}
