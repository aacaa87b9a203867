package io.github.jkvm.sandbox.linux;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.MachineSnapshot;
import io.github.jkvm.sandbox.GuestNetwork;
import io.github.jkvm.sandbox.process.ChildService;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Runs a guest for the {@link GuestProcess} of another process. One connection commands it; the others are handed on to the guest's agent, wait for the guest's
 * end, or ask whether there is anyone.
 */
public final class LinuxService implements ChildService {
    private static final System.Logger LOG = System.getLogger(LinuxService.class.getName());
    private static final int CHUNK = 64 << 10;

    private @Nullable Machines machines;
    private @Nullable MachineSnapshot snapshot;
    private volatile @Nullable MachineGuest guest;

    /** Creates the service, which has no guest yet. */
    public LinuxService() {}

    @Override
    public void serve(SocketChannel connection) throws IOException {
        var in = new DataInputStream(Channels.newInputStream(connection));
        var out = new DataOutputStream(Channels.newOutputStream(connection));
        try {
            switch (in.readByte()) {
                case GuestProcess.COMMANDS -> command(in, out);
                case GuestProcess.AGENT -> handOn(connection, Duration.ofNanos(in.readLong()), out);
                case GuestProcess.ENDING ->
                    out.writeUTF(shortened(runningGuest().ending()));
                default -> out.writeByte(GuestProcess.DONE);
            }
        } catch (EOFException e) {
            // The other process is done with it.
            LOG.log(System.Logger.Level.TRACE, "a connection ended", e);
        } catch (InterruptedException e) {
            throw new IllegalStateException("no one interrupts this thread", e);
        }
    }

    private MachineGuest runningGuest() throws IOException {
        MachineGuest running = guest;
        if (running == null) {
            throw new IOException("there is no guest");
        }
        return running;
    }

    private static String shortened(@Nullable String text) {
        String whole = String.valueOf(text);
        return whole.substring(0, Math.min(whole.length(), GuestProcess.MOST_TEXT));
    }

    private void command(DataInputStream in, DataOutputStream out) throws IOException {
        while (true) {
            int what = in.readByte();
            switch (what) {
                case GuestProcess.BOOT, GuestProcess.OPEN -> {
                    MachinePlan plan = MachinePlan.read(in);
                    Path folder = Path.of(in.readUTF());
                    answer(out, () -> makeReady(plan, folder, what == GuestProcess.BOOT));
                }
                case GuestProcess.START -> {
                    String tap = in.readUTF();
                    answer(out, () -> start(tap));
                }
                default -> answer(out, this::stop);
            }
        }
    }

    private static void answer(DataOutputStream out, Runnable action) throws IOException {
        try {
            action.run();
            out.writeByte(GuestProcess.DONE);
        } catch (RuntimeException e) {
            out.writeByte(GuestProcess.FAILED);
            out.writeUTF(shortened(e.getMessage()));
        }
    }

    private void makeReady(MachinePlan plan, Path folder, boolean boot) {
        // Open as long as the process.
        var made = new Machines(Hypervisor.open(), plan);
        machines = made;
        try {
            if (boot) {
                try (MachineSnapshot booted = made.boot()) {
                    booted.save(folder);
                }
            }
            snapshot = MachineSnapshot.open(folder);
        } catch (IOException e) {
            throw new UncheckedIOException("the snapshot in " + folder + " can't be written or read: " + e, e);
        }
    }

    private void start(String tap) {
        stop();
        Optional<GuestNetwork> network = tap.isEmpty() ? Optional.empty() : Optional.of(GuestNetwork.tap(tap));
        guest = Objects.requireNonNull(machines, "booted or opened before")
                .goOn(Objects.requireNonNull(snapshot, "booted or opened before"), network);
    }

    private void stop() {
        MachineGuest last = guest;
        if (last != null) {
            last.close();
            guest = null;
        }
    }

    /** Connects to the agent, and hands on what it and the other process say to each other until that one hangs up. */
    private void handOn(SocketChannel connection, Duration timeout, DataOutputStream out) throws IOException {
        ByteChannel agent;
        try {
            agent = runningGuest().connect(timeout);
        } catch (IOException e) {
            out.writeByte(GuestProcess.FAILED);
            out.writeUTF(shortened(e.getMessage()));
            return;
        }
        try (agent) {
            out.writeByte(GuestProcess.DONE);
            Thread.ofPlatform().daemon().name("answers").start(() -> answer(agent, connection));
            pump(connection, agent);
        }
    }

    private static void answer(ByteChannel agent, SocketChannel connection) {
        try {
            pump(agent, connection);
            connection.shutdownOutput();
        } catch (IOException broken) {
            LOG.log(System.Logger.Level.TRACE, "the agent's connection broke", broken);
            try {
                connection.close();
            } catch (IOException e) {
                LOG.log(System.Logger.Level.TRACE, "a connection can't be closed", e);
            }
        }
    }

    private static void pump(ByteChannel from, ByteChannel to) throws IOException {
        ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK);
        while (from.read(chunk.clear()) >= 0) {
            chunk.flip();
            while (chunk.hasRemaining()) {
                to.write(chunk);
            }
        }
    }
}
