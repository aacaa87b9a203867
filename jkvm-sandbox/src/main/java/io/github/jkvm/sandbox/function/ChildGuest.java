package io.github.jkvm.sandbox.function;

import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.SandboxProcessException;
import io.github.jkvm.sandbox.process.ChildJvm;
import io.github.jkvm.sandbox.process.Network;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A guest in the virtual machine of another process, where {@link FunctionService} has it. Call pages are sent there and back. If the process ends, calls throw a
 * {@link SandboxProcessException}, and {@link #restore} starts another; one that does not stop its guest when it is told to is killed.
 */
public final class ChildGuest implements FunctionGuest {
    // What connections begin with, commands and answers.
    static final int COMMANDS = 'C';
    static final int PROCESSOR = 'P';
    static final int INTERRUPT = 'I';
    static final int RESTORE = 'R';
    static final int CHECKPOINT = 'S';
    static final int RANG = 'r';
    static final int INTERRUPTED = 'i';
    static final int CRASHED = 'c';
    static final int FAILED = 'f';
    static final int DONE = 'd';

    /** Most characters of a message. */
    static final int MOST_TEXT = 4096;

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final System.Logger LOG = System.getLogger(ChildGuest.class.getName());

    private final byte[] elf;
    private final GuestSizes sizes;
    private final GuestProgram program;
    private final List<MemorySegment> pages = new ArrayList<>();

    /** The pages as they are in the state that {@link #restore} goes to. */
    private final List<byte[]> cleanPages = new ArrayList<>();

    private boolean hasCheckpoint;
    private volatile Host host;

    /**
     * Starts a process and places a program in a new virtual machine there. None of it runs yet.
     *
     * @param elf the program
     * @param sizes how large everything is
     * @throws IllegalArgumentException if the program is none, or does not fit
     * @throws SandboxProcessException if the process can't be started
     * @throws SandboxException if its host refuses something
     */
    public ChildGuest(byte[] elf, GuestSizes sizes) {
        this.elf = elf;
        this.sizes = sizes;
        this.program = new GuestProgram(elf, sizes);
        for (int i = 0; i < sizes.processors(); i++) {
            // Freed when nothing refers to it any more: calls that end late may still read it.
            MemorySegment page = Arena.ofAuto().allocate(sizes.message(), Long.BYTES);
            program.preparePage(i, page);
            pages.add(page);
        }
        keepPages();
        this.host = new Host();
    }

    private void keepPages() {
        cleanPages.clear();
        pages.forEach(page -> cleanPages.add(page.toArray(ValueLayout.JAVA_BYTE)));
    }

    /** A process with the guest in it, and the connections to it. */
    private final class Host implements AutoCloseable {
        private final ChildJvm jvm = ChildJvm.start(FunctionService.class, Network.NONE, sizes.memory());
        private final List<SocketChannel> connections = new ArrayList<>();
        private final List<Processor> processors = new ArrayList<>();
        private final PageStream commands;

        Host() {
            try {
                commands = connect(COMMANDS);
                command(this::create);
                for (int i = 0; i < sizes.processors(); i++) {
                    PageStream stream = connect(PROCESSOR);
                    stream.out().writeInt(i);
                    processors.add(new Processor(jvm, stream));
                }
            } catch (IOException e) {
                SandboxProcessException why = jvm.broken(e);
                close();
                throw why;
            } catch (RuntimeException | Error failure) {
                close();
                throw failure;
            }
        }

        private PageStream connect(int kind) throws IOException {
            SocketChannel connection = jvm.connect();
            connections.add(connection);
            var stream = new PageStream(connection);
            stream.out().writeByte(kind);
            return stream;
        }

        private void create(DataOutputStream out) throws IOException {
            out.writeLong(sizes.memory());
            out.writeInt(sizes.processors());
            out.writeLong(sizes.stack());
            out.writeLong(sizes.message());
            out.writeInt(elf.length);
            out.write(elf);
        }

        /** Sends a command and waits for its answer. */
        synchronized void command(Command command) {
            ChildJvm.Patience patience = jvm.patience(PATIENCE);
            try {
                command.write(commands.out());
                commands.out().flush();
                if (commands.in().readByte() != DONE) {
                    throw new SandboxException("in the sandbox's process: " + text(commands.in()));
                }
            } catch (IOException e) {
                throw jvm.broken(e);
            } finally {
                patience.end();
            }
        }

        synchronized void interrupt(int processor) {
            processors.get(processor).expectStop();
            try {
                commands.out().writeByte(INTERRUPT);
                commands.out().writeInt(processor);
                commands.out().flush();
            } catch (IOException e) {
                // The process is gone: whoever waits for the guest learns it there.
                LOG.log(System.Logger.Level.DEBUG, "a sandbox's process takes no interrupt", e);
            }
        }

        @Override
        public void close() {
            jvm.close();
            for (SocketChannel connection : connections) {
                try {
                    connection.close();
                } catch (IOException e) {
                    LOG.log(System.Logger.Level.DEBUG, "a connection to a sandbox's process can't be closed", e);
                }
            }
        }
    }

    @FunctionalInterface
    private interface Command {
        void write(DataOutputStream out) throws IOException;
    }

    /** One of the guest's processors. */
    private static final class Processor {
        private final ChildJvm jvm;
        private final PageStream stream;
        private boolean running;
        private ChildJvm.@Nullable Patience patience;

        Processor(ChildJvm jvm, PageStream stream) {
            this.jvm = jvm;
            this.stream = stream;
        }

        Stop run(MemorySegment page) {
            begin();
            try {
                stream.send(page);
                int answer = stream.in().readByte();
                switch (answer) {
                    case RANG, INTERRUPTED -> stream.receive(page, stream.await());
                    case CRASHED -> throw new CrashException(text(stream.in()));
                    case FAILED -> throw new SandboxException("in the sandbox's process: " + text(stream.in()));
                    default -> throw new IOException("an answer of " + answer + ", which there is none of");
                }
                return answer == RANG ? Stop.RANG : Stop.INTERRUPTED;
            } catch (IOException e) {
                throw jvm.broken(e);
            } finally {
                end();
            }
        }

        private synchronized void begin() {
            running = true;
        }

        private synchronized void end() {
            running = false;
            if (patience != null) {
                patience.end();
                patience = null;
            }
        }

        /** The guest is told to stop; if it runs on, the process is to blame. */
        synchronized void expectStop() {
            if (running && patience == null) {
                patience = jvm.patience(PATIENCE);
            }
        }
    }

    private static String text(DataInputStream in) throws IOException {
        String text = in.readUTF();
        return text.substring(0, Math.min(text.length(), MOST_TEXT));
    }

    @Override
    public GuestInterface functions() {
        return program.functions();
    }

    @Override
    public MemorySegment page(int processor) {
        return pages.get(processor);
    }

    @Override
    public long pageAddress(int processor) {
        return program.plan().page(processor);
    }

    @Override
    public long heap(int processor) {
        return program.plan().heap(processor);
    }

    @Override
    public Stop run(int processor) {
        return host.processors.get(processor).run(pages.get(processor));
    }

    @Override
    public void interrupt(int processor) {
        host.interrupt(processor);
    }

    /** {@inheritDoc} Here all that the process does counts. */
    @Override
    public long workedNanos(Thread caller) {
        return host.jvm.cpuTime().toNanos();
    }

    @Override
    public void restore() {
        if (host.jvm.isAlive()) {
            host.command(out -> out.writeByte(RESTORE));
        } else if (hasCheckpoint) {
            throw new SandboxProcessException(
                    "the sandbox's process has ended, and the guest's checkpoint with it; close the sandbox and build another",
                    null);
        } else {
            host.close();
            host = new Host();
        }
        for (int i = 0; i < pages.size(); i++) {
            pages.get(i).copyFrom(MemorySegment.ofArray(cleanPages.get(i)));
        }
    }

    @Override
    public void checkpoint() {
        host.command(out -> out.writeByte(CHECKPOINT));
        keepPages();
        hasCheckpoint = true;
    }

    @Override
    public void close() {
        host.close();
    }
}
