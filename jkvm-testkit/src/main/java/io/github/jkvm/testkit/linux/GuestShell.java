package io.github.jkvm.testkit.linux;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.UUID;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The shell of a guest that was booted from the files of a {@link LinuxMachineBuilder}, whatever VMM it runs in. Takes one command at a time,
 * from any thread.
 *
 * <p>A command is a script for busybox's shell, run in a process and session of its own. Its standard output and error come apart and as they are,
 * byte for byte. At most {@value #MOST_KEPT} bytes of each are kept; a command that prints more hands them on with {@link
 * GuestCommand#withOutputTo}. A process that it leaves behind may go on, but what such a process prints is lost, or taken for that of the next
 * command.
 *
 * <p>Every failure is an {@link AssertionError} whose message has the command, what it has printed, and the end of the kernel's log.
 */
public final class GuestShell {
    /** How many bytes of each stream of a command are kept: 16 MiB. */
    public static final int MOST_KEPT = 16 << 20;

    private static final int LINES_SHOWN = 100;

    /** How long a killed command may take to end. */
    private static final Duration GRACE = Duration.ofSeconds(15);

    private static final GuestCommand LOAD_MODULES = GuestCommand.of(
            ". /guest/settings; status=0; for module in $MODULES; do modprobe \"$module\" || status=$?; done; exit $status");

    private final AgentLink link;
    private final Supplier<String> console;
    private final Duration deadline;
    private final RunningCommand boot;
    private final MarkedStream fromGuest;

    /** Guarded by this. */
    private @Nullable RunningCommand current;

    private @Nullable String end;

    GuestShell(AgentLink link, MarkedStream fromGuest, Supplier<String> console, Duration deadline) {
        this.link = link;
        this.fromGuest = fromGuest;
        this.console = console;
        this.deadline = deadline;
        this.boot = new RunningCommand(this, GuestCommand.of("(the guest's boot)"), AgentLink.HELLO);
        current = boot;
        link.expectHello(boot);
    }

    /**
     * Creates the host's end of a shell that is at the second serial port of a guest, in whatever VMM ({@link ControlChannel#SERIAL}).
     *
     * @param toGuest where bytes to the guest go; may block
     * @param console gives the last of what the kernel has printed
     * @param deadline how long the boot, and each command, may take unless told otherwise
     * @return the shell; {@link #fromGuest} is to be given what the guest sends, and {@link #end} is to be called when the guest has ended
     */
    public static GuestShell overSerial(OutputStream toGuest, Supplier<String> console, Duration deadline) {
        var line = new MarkedStream();
        return new GuestShell(AgentLink.overLine(toGuest, line), line, console, deadline);
    }

    /**
     * Returns what is to be given the bytes that the guest sends over its second serial port.
     *
     * @return the stream; never blocks but for a stream that a command hands its output on to
     */
    public OutputStream fromGuest() {
        return fromGuest;
    }

    /**
     * Says that the guest has ended, which ends the command that runs.
     *
     * @param how a sentence about it
     */
    public void end(String how) {
        RunningCommand running;
        synchronized (this) {
            end = how;
            running = current;
        }
        if (running != null) {
            running.lose(how);
        }
    }

    /**
     * Waits until the guest has loaded its modules and takes commands.
     *
     * @throws AssertionError if it takes too long, the guest ends, or a module can't be loaded
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public void awaitBoot() throws InterruptedException {
        awaitHello();
        run(LOAD_MODULES);
    }

    /** Waits until the guest takes commands. */
    void awaitHello() throws InterruptedException {
        if (!boot.awaitEnd(deadline)) {
            throw boot.failure("the guest has not booted within " + deadline);
        }
        boot.result();
    }

    /** Has the shell go on with a guest that takes commands already. */
    void skipBoot() {
        forget(boot);
    }

    /** Checks that no command runs. */
    synchronized void checkIdle(String why) {
        if (current != null) {
            throw new IllegalStateException("the guest still runs: " + current + "\nwait for its end " + why);
        }
    }

    /**
     * Starts a command. The next one can be started when this one has been waited for.
     *
     * @param command what is to run
     * @return the command, whose end is to be waited for with {@link RunningCommand#await}
     * @throws IllegalStateException if another command has not ended, or no one has waited for its end
     * @throws IllegalArgumentException if its script is longer than a {@link ControlChannel#SERIAL} takes
     */
    public RunningCommand begin(GuestCommand command) {
        link.check(command);
        var begun = new RunningCommand(this, command, UUID.randomUUID().toString());
        synchronized (this) {
            if (current != null) {
                throw new IllegalStateException(
                        "the guest still runs: " + current + "\nwait for its end before: " + command);
            }
            current = begun;
            if (end != null) {
                begun.lose(end);
                return begun;
            }
        }
        link.start(begun);
        return begun;
    }

    /**
     * Runs a command. One that takes too long is killed, so that the guest is of use afterwards.
     *
     * @param command what is to run
     * @return how it ended
     * @throws AssertionError if it takes longer than its deadline, or as {@link RunningCommand#await} says
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public CommandResult execute(GuestCommand command) throws InterruptedException {
        Duration limit = command.deadlineOr(deadline);
        RunningCommand running = begin(command);
        if (running.awaitEnd(limit)) {
            return running.result();
        }
        running.kill();
        boolean killed = running.awaitEnd(GRACE);
        AssertionError failure = running.failure("the command has not ended within " + limit
                + (killed
                        ? ", and was killed"
                        : "; it could not be killed either, so the guest takes no more commands"));
        if (killed) {
            forget(running);
        }
        throw failure;
    }

    /**
     * Runs a command that must succeed.
     *
     * @param command what is to run
     * @return what it wrote to its standard output, without line feeds at the end
     * @throws AssertionError if its exit status is not 0, or as in {@link #execute}
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public String run(GuestCommand command) throws InterruptedException {
        CommandResult result = execute(command);
        if (result.status() != 0) {
            String messages =
                    execute(GuestCommand.of("dmesg | tail -n " + LINES_SHOWN)).output();
            String diagnosis = ConsoleDiagnosis.of(messages);
            throw new AssertionError(
                    (diagnosis.isEmpty() ? "" : diagnosis + "\n") + result + "\n-- the guest's dmesg --\n" + messages);
        }
        return result.output().replaceFirst("\n+$", "");
    }

    /**
     * Copies a file, or a folder with all that is in it, into the guest. Permissions, times and symbolic links are kept; everything belongs to root.
     *
     * @param source of the host
     * @param target the absolute path that it gets in the guest, whose folder is made if need be; what is there already is written over
     * @throws IllegalArgumentException if the path is not absolute
     * @throws AssertionError if the source can't be read, or as in {@link #run}
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public void copyIn(Path source, String target) throws InterruptedException {
        var place = GuestPath.of(target);
        run(GuestCommand.of("mkdir -p " + place.quotedFolder() + " && tar xf - -C " + place.quotedFolder())
                .withInput(out -> FolderArchive.write(source, place.name(), out)));
    }

    /**
     * Copies a file, or a folder with all that is in it, out of the guest. Permissions but set-user-ID and its like, times and symbolic links
     * are kept; everything belongs to this process. What is in the guest can't make this write anywhere but to the target.
     *
     * @param source its absolute path in the guest
     * @param target the path that it gets on the host, where nothing may be yet; its folder must be there
     * @throws IllegalArgumentException if the path is not absolute
     * @throws UncheckedIOException if the host's files can't be written, or the guest has a file that is no file, folder or link
     * @throws AssertionError as in {@link #run}
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public void copyOut(String source, Path target) throws InterruptedException {
        Objects.requireNonNull(target, "target");
        var place = GuestPath.of(source);
        try {
            Path archive = Files.createTempFile("jkvm-guest", ".tar");
            try {
                try (OutputStream out = Files.newOutputStream(archive)) {
                    run(GuestCommand.of("tar cf - -C " + place.quotedFolder() + " " + place.quotedName())
                            .withOutputTo(out));
                }
                FolderArchive.unpack(archive, target);
            } finally {
                Files.delete(archive);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("'" + source + "' can't be copied to " + target + ": " + e.getMessage(), e);
        }
    }

    /* What a command does. */

    String console() {
        return console.get();
    }

    void kill(RunningCommand running) {
        link.kill(running);
    }

    synchronized void forget(RunningCommand running) {
        if (current == running) {
            current = null;
        }
    }
}
