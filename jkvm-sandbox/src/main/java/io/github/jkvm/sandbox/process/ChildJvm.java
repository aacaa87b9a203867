package io.github.jkvm.sandbox.process;

import io.github.jkvm.sandbox.SandboxProcessException;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.System.Logger.Level;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A JVM that runs a {@link ChildService} for this one, in namespaces and a control group of its own where the host permits it. It has no files and no environment
 * variables of this process, and ends with it.
 *
 * <p>What it sends is for the reader to check: a guest that has broken out of its virtual machine is there.
 *
 * <p>Safe for use by many threads.
 */
public final class ChildJvm implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(ChildJvm.class.getName());
    private static final AtomicBoolean TOLD = new AtomicBoolean();

    /** What a JVM needs beside its guest's memory; it takes some 60 MiB. */
    private static final long OWN_MEMORY = 512L << 20;

    private static final long MOST_THREADS = 512;
    private static final int LAST_WORDS = 8192;
    private static final long PATIENCE_SECONDS = 5;

    private final Path folder;
    private final Process process;
    private final @Nullable ControlGroup group;
    private final LastWords lastWords;
    private final AtomicBoolean closed = new AtomicBoolean();

    private ChildJvm(Path folder, Process process, @Nullable ControlGroup group) {
        this.folder = folder;
        this.process = process;
        this.group = group;
        this.lastWords = new LastWords(process.getErrorStream(), LAST_WORDS);
    }

    /**
     * Starts a JVM and waits until it takes connections.
     *
     * @param service what it runs: a class with a constructor without parameters
     * @param network what network it has
     * @param guestMemory how many bytes its guests have together
     * @return the JVM, to be closed by the caller
     * @throws SandboxProcessException if it can't be started
     */
    public static ChildJvm start(Class<? extends ChildService> service, Network network, long guestMemory) {
        return start(service, network, guestMemory, List.of());
    }

    static ChildJvm start(
            Class<? extends ChildService> service, Network network, long guestMemory, List<Path> moreClasses) {
        Path folder;
        try {
            // Others of the host may not connect: the folder is for its owner alone.
            folder = Files.createTempDirectory("jkvm-sandbox");
        } catch (IOException e) {
            throw new SandboxProcessException("no folder for the socket of a sandbox's process can be made: " + e, e);
        }
        Optional<ControlGroup> group = ControlGroup.create(guestMemory + OWN_MEMORY, MOST_THREADS);
        List<String> namespaces = Namespaces.prefix(network);
        tellWhatIsLacking(group.isPresent(), !namespaces.isEmpty());

        List<String> command = new ArrayList<>();
        group.ifPresent(limits -> command.addAll(limits.prefix()));
        command.addAll(namespaces);
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-XX:+UseSerialGC", "-Xmx128m", "-Xshare:auto", "--enable-native-access=ALL-UNNAMED"));
        command.addAll(compilers());
        command.addAll(List.of("-cp", classPath(moreClasses)));
        command.addAll(List.of(
                ChildMain.class.getName(), service.getName(), socket(folder).toString()));
        var builder = new ProcessBuilder(command);
        // This process's variables may be secrets, and folders in use can't be unmounted. What is left finds the
        // programs above.
        builder.environment().keySet().retainAll(Set.of("PATH"));
        builder.directory(new File("/"));
        ChildJvm child;
        try {
            child = new ChildJvm(folder, builder.start(), group.orElse(null));
        } catch (IOException e) {
            group.ifPresent(ControlGroup::close);
            delete(folder);
            throw new SandboxProcessException("the process of a sandbox can't be started: " + e, e);
        }
        child.awaitReady();
        return child;
    }

    private static void tellWhatIsLacking(boolean hasGroup, boolean hasNamespaces) {
        if ((!hasGroup || !hasNamespaces) && TOLD.compareAndSet(false, true)) {
            List<String> lacking = new ArrayList<>();
            if (!hasNamespaces) {
                lacking.add("namespaces of its own (unshare(1))");
            }
            if (!hasGroup) {
                lacking.add(
                        "a control group of its own (cgroup v2, with memory and pids for this process to hand out)");
            }
            LOG.log(
                    Level.INFO,
                    "this host does not permit the process of a sandbox {0}",
                    String.join(", nor ", lacking));
        }
    }

    /** Whoever limits this JVM's compilers, as on slow processors, means the other's too. */
    private static List<String> compilers() {
        return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(argument -> argument.startsWith("-XX:TieredStopAtLevel="))
                .toList();
    }

    /** The class path that has all that this JVM has, be it from its class path or its module path. */
    private static String classPath(List<Path> moreClasses) {
        Set<String> entries = new LinkedHashSet<>();
        Arrays.stream(System.getProperty("java.class.path", "").split(File.pathSeparator, -1))
                .filter(entry -> !entry.isEmpty())
                .map(entry -> Path.of(entry).toAbsolutePath().toString())
                .forEach(entries::add);
        for (var module : ModuleLayer.boot().configuration().modules()) {
            Optional<URI> location = module.reference().location();
            location.filter(uri -> "file".equals(uri.getScheme()))
                    .ifPresent(uri -> entries.add(Path.of(uri).toString()));
        }
        moreClasses.forEach(path -> entries.add(path.toString()));
        return String.join(File.pathSeparator, entries);
    }

    static Path socket(Path folder) {
        return folder.resolve("socket");
    }

    private void awaitReady() {
        int first;
        try {
            first = process.getInputStream().read();
        } catch (IOException e) {
            SandboxProcessException why = death("did not start", e);
            close();
            throw why;
        }
        if (first != ChildMain.READY) {
            SandboxProcessException why = death("did not start", null);
            close();
            throw why;
        }
    }

    /**
     * Opens a connection, which the service serves on a thread of its own.
     *
     * @return the connection, to be closed by the caller
     * @throws SandboxProcessException if the process has ended
     */
    public SocketChannel connect() {
        try {
            return SocketChannel.open(UnixDomainSocketAddress.of(socket(folder)));
        } catch (IOException e) {
            throw death("takes no connections", e);
        }
    }

    /**
     * Returns the exception for a connection that broke, with what the process last said.
     *
     * @param cause how it broke
     * @return the exception
     */
    public SandboxProcessException broken(IOException cause) {
        return death("ended amid a call", cause);
    }

    private SandboxProcessException death(String what, @Nullable Throwable cause) {
        var text = new StringBuilder("the process of the sandbox ").append(what);
        try {
            if (process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                text.append("; it ended with status ").append(process.exitValue());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (group != null && group.ranOutOfMemory()) {
            text.append("; the kernel killed it for using more memory than it may");
        }
        String words = lastWords.text();
        if (!words.isBlank()) {
            text.append("; it said: ").append(words.strip());
        }
        return new SandboxProcessException(
                text.append("; restore() starts another").toString(), cause);
    }

    /**
     * Kills the process if something is not done in time.
     *
     * @param time how long it may take
     * @return to be ended once it is done
     */
    public Patience patience(Duration time) {
        return new Patience(time);
    }

    /** Waits for something to be done; see {@link #patience}. */
    public final class Patience {
        private final Duration time;
        private final CompletableFuture<Void> kill;

        private Patience(Duration time) {
            this.time = time;
            this.kill = CompletableFuture.runAsync(
                    this::kill, CompletableFuture.delayedExecutor(time.toNanos(), TimeUnit.NANOSECONDS));
        }

        private void kill() {
            LOG.log(Level.WARNING, "the process of a sandbox has not answered for {0} and is killed", time);
            process.destroyForcibly();
        }

        /** Ends the wait: the process lives on, if it still does. */
        public void end() {
            kill.cancel(false);
        }
    }

    /**
     * Returns how long processors have worked for the process, as the host's kernel counts it.
     *
     * @return the time; zero once it has ended
     */
    public Duration cpuTime() {
        return Stream.concat(Stream.of(process.toHandle()), process.descendants())
                .flatMap(handle -> handle.info().totalCpuDuration().stream())
                .reduce(Duration.ZERO, Duration::plus);
    }

    /**
     * Tells whether it runs.
     *
     * @return false once it has ended
     */
    public boolean isAlive() {
        return process.isAlive();
    }

    /** Kills the process and waits until it is gone. Closing twice does nothing. */
    @Override
    public void close() {
        if (!closed.compareAndSet(false, true)) {
            return;
        }
        process.destroyForcibly();
        boolean interrupted = false;
        while (true) {
            try {
                process.waitFor();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        lastWords.close();
        if (group != null) {
            group.close();
        }
        delete(folder);
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static void delete(Path folder) {
        try {
            Files.deleteIfExists(socket(folder));
            Files.deleteIfExists(folder);
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "the folder " + folder + " can't be deleted", e);
        }
    }

    /** The end of what a process says on its error stream. */
    private static final class LastWords implements AutoCloseable {
        private final InputStream stream;
        private final int most;
        private final StringBuilder words = new StringBuilder();
        private final Thread thread;

        LastWords(InputStream stream, int most) {
            this.stream = stream;
            this.most = most;
            this.thread =
                    Thread.ofPlatform().name("jkvm-sandbox-stderr").daemon().start(this::listen);
        }

        private void listen() {
            byte[] buffer = new byte[1024];
            try {
                for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
                    synchronized (words) {
                        words.append(new String(buffer, 0, count, StandardCharsets.ISO_8859_1));
                        words.delete(0, Math.max(0, words.length() - most));
                    }
                }
            } catch (IOException e) {
                LOG.log(Level.TRACE, "the error stream of a sandbox's process broke", e);
            }
        }

        String text() {
            synchronized (words) {
                return words.toString();
            }
        }

        @Override
        public void close() {
            boolean interrupted = false;
            while (thread.isAlive()) {
                try {
                    thread.join();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
