package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.SandboxProcessException;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.channels.ByteChannel;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/** A guest in a machine of another process, which hands the bytes of its connections on. */
final class ChildLinuxGuest implements LinuxGuest {
    private static final System.Logger LOG = System.getLogger(ChildLinuxGuest.class.getName());

    private final GuestProcess process;
    private final int processors;
    private final Optional<NetworkOrder> network;
    private final Set<SocketChannel> open = ConcurrentHashMap.newKeySet();
    private volatile boolean ended;

    /** Held by who tells the process to end the guest. */
    private final ReentrantLock stopping = new ReentrantLock();

    /** Once the process was told, it may have the next guest. Guarded by {@link #stopping}. */
    private boolean told;

    ChildLinuxGuest(GuestProcess process, int processors, Optional<NetworkOrder> network) {
        this.process = process;
        this.processors = processors;
        this.network = network;
    }

    @Override
    public ByteChannel connect(Duration timeout) throws IOException {
        open.removeIf(channel -> !channel.isOpen());
        SocketChannel connection;
        try {
            connection = process.connect(GuestProcess.AGENT);
        } catch (SandboxProcessException e) {
            throw new IOException(e.getMessage(), e);
        }
        open.add(connection);
        try {
            if (ended) {
                throw new IOException("the guest is stopped");
            }
            new DataOutputStream(Channels.newOutputStream(connection)).writeLong(nanos(timeout));
            var in = new DataInputStream(Channels.newInputStream(connection));
            if (in.readByte() != GuestProcess.DONE) {
                throw new IOException(GuestProcess.text(in));
            }
            return connection;
        } catch (IOException e) {
            connection.close();
            throw e;
        }
    }

    private static long nanos(Duration time) {
        try {
            return time.toNanos();
        } catch (ArithmeticException tooLong) {
            return Long.MAX_VALUE;
        }
    }

    @Override
    public Optional<NetworkOrder> network() {
        return network;
    }

    /** {@inheritDoc} Here all that the process does counts. */
    @Override
    public long cpuNanos() {
        return process.cpuNanos();
    }

    @Override
    public int processors() {
        return processors;
    }

    @Override
    public SandboxException broken(AgentFault fault) {
        var cause = new IOException(fault.getMessage(), fault);
        return process.death(cause)
                .<SandboxException>map(dead -> dead)
                .orElseGet(() -> LinuxGuest.brokeDown(fault.getMessage(), fault));
    }

    @Override
    public void onEnd(Consumer<SandboxException> action) {
        Thread.ofPlatform().daemon().name("jkvm-sandbox-end").start(() -> action.accept(awaitEnd()));
    }

    private SandboxException awaitEnd() {
        try (SocketChannel connection = process.connect(GuestProcess.ENDING)) {
            return LinuxGuest.brokeDown(
                    GuestProcess.text(new DataInputStream(Channels.newInputStream(connection))), null);
        } catch (IOException e) {
            return process.death(e)
                    .<SandboxException>map(dead -> dead)
                    .orElseGet(() -> LinuxGuest.brokeDown("its process tells nothing of it: " + e, e));
        } catch (SandboxProcessException dead) {
            return dead;
        }
    }

    @Override
    public void stop() {
        ended = true;
        Thread.ofPlatform().daemon().name("jkvm-sandbox-closer").start(this::close);
    }

    /** {@inheritDoc} What it has of the process is the next guest's. */
    @Override
    public void close() {
        ended = true;
        for (SocketChannel connection : open) {
            try {
                connection.close();
            } catch (IOException e) {
                LOG.log(System.Logger.Level.DEBUG, "a connection to a sandbox's process can't be closed", e);
            }
        }
        stopping.lock();
        try {
            if (!told) {
                told = true;
                process.stop();
            }
        } catch (SandboxException e) {
            // It has ended with its process, or ends with it.
            LOG.log(System.Logger.Level.DEBUG, "a sandbox's process does not stop its guest", e);
            process.kill();
        } finally {
            stopping.unlock();
        }
    }
}
