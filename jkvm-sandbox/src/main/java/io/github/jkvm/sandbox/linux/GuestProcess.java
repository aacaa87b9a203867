package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.SandboxProcessException;
import io.github.jkvm.sandbox.process.ChildJvm;
import io.github.jkvm.sandbox.process.Network;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A process in which {@link LinuxService} runs one guest at a time, and what it is told. If it has ended, or breaks the rules, that is a
 * {@link SandboxProcessException}; if it does not answer, it is killed. Safe for use by many threads.
 */
final class GuestProcess implements AutoCloseable {
    // What connections begin with.
    static final int COMMANDS = 'C';
    static final int AGENT = 'A';
    static final int ENDING = 'E';
    static final int PING = 'P';
    // Commands.
    static final int BOOT = 'B';
    static final int OPEN = 'O';
    static final int START = 'S';
    static final int STOP = 'X';
    // Answers.
    static final int DONE = 'd';
    static final int FAILED = 'f';

    /** Most characters of a message. */
    static final int MOST_TEXT = 4096;

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final System.Logger LOG = System.getLogger(GuestProcess.class.getName());

    private final MachinePlan plan;
    private final ChildJvm jvm;
    private final SocketChannel connection;
    private final DataInputStream in;
    private final DataOutputStream out;
    private final AtomicLong cpuNanos = new AtomicLong();

    /**
     * Starts a process.
     *
     * @throws SandboxProcessException if it can't be started
     */
    GuestProcess(MachinePlan plan) {
        this.plan = plan;
        jvm = ChildJvm.start(LinuxService.class, plan.hasNetwork() ? Network.HOST : Network.NONE, plan.memory());
        try {
            connection = connect(COMMANDS);
        } catch (IOException e) {
            SandboxProcessException why = jvm.broken(e);
            jvm.close();
            throw why;
        } catch (RuntimeException | Error failure) {
            jvm.close();
            throw failure;
        }
        in = new DataInputStream(Channels.newInputStream(connection));
        out = new DataOutputStream(new BufferedOutputStream(Channels.newOutputStream(connection)));
    }

    /** Something that is written. */
    private interface Words {
        void write(DataOutputStream out) throws IOException;
    }

    private synchronized void command(int what, Duration time, Words words) {
        ChildJvm.Patience patience = jvm.patience(time);
        try {
            out.writeByte(what);
            words.write(out);
            out.flush();
            if (in.readByte() != DONE) {
                throw new SandboxException("in the sandbox's process: " + text(in));
            }
        } catch (IOException e) {
            throw jvm.broken(e);
        } finally {
            patience.end();
        }
    }

    /** Reads a message, as much of it as is shown. */
    static String text(DataInputStream in) throws IOException {
        String text = in.readUTF();
        return text.substring(0, Math.min(text.length(), MOST_TEXT));
    }

    /** Boots a guest, saves it to a folder, and is ready to {@link #start} it. */
    void boot(Path folder) {
        command(BOOT, plan.patience().plus(PATIENCE), words -> {
            plan.write(words);
            words.writeUTF(folder.toString());
        });
    }

    /** Makes ready to {@link #start} the guest that was saved to a folder. */
    void open(Path folder) {
        command(OPEN, PATIENCE, words -> {
            plan.write(words);
            words.writeUTF(folder.toString());
        });
    }

    /**
     * Has the guest go on from where it was saved; the one before was stopped.
     *
     * @param tap the interface of the host that it is connected to, if the plan has a network
     */
    void start(Optional<String> tap) {
        command(START, PATIENCE, words -> words.writeUTF(tap.orElse("")));
    }

    /** Ends the guest that runs, if there is one. */
    void stop() {
        command(STOP, PATIENCE, words -> {});
    }

    /** Opens a connection of a kind. */
    SocketChannel connect(int kind) throws IOException {
        SocketChannel made = jvm.connect();
        try {
            new DataOutputStream(Channels.newOutputStream(made)).writeByte(kind);
            return made;
        } catch (IOException e) {
            made.close();
            throw e;
        }
    }

    /**
     * Returns why the process is no more, if so: it does not answer.
     *
     * @param cause what there was before
     */
    Optional<SandboxProcessException> death(IOException cause) {
        ChildJvm.Patience patience = jvm.patience(PATIENCE);
        try (SocketChannel ping = connect(PING)) {
            if (new DataInputStream(Channels.newInputStream(ping)).readByte() == DONE) {
                return Optional.empty();
            }
            return Optional.of(jvm.broken(cause));
        } catch (IOException e) {
            return Optional.of(jvm.broken(e));
        } catch (SandboxProcessException dead) {
            return Optional.of(dead);
        } finally {
            patience.end();
        }
    }

    /** Ends the process. */
    void kill() {
        jvm.close();
    }

    /** Returns for how long processors have worked for the process. */
    long cpuNanos() {
        // Of what has ended the host tells nothing.
        return cpuNanos.accumulateAndGet(jvm.cpuTime().toNanos(), Math::max);
    }

    @Override
    public void close() {
        kill();
        try {
            connection.close();
        } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, "a connection to a sandbox's process can't be closed", e);
        }
    }
}
