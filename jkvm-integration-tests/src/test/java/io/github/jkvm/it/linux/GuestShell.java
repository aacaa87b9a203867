package io.github.jkvm.it.linux;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The shell of a guest that was booted from the files of a {@link LinuxGuestBuilder}, whatever machine it runs in. Takes one command at a
 * time, from any thread.
 */
public final class GuestShell {
    /** How long a guest may take to boot, and a command of {@link #run} to end, on a busy machine. */
    public static final Duration PATIENCE = Duration.ofMinutes(3);

    private static final int LINES_SHOWN = 100;

    private final ShellLine line;
    private final Sender sender;
    private final Supplier<String> console;

    /** Guarded by this. */
    private @Nullable Command running;

    /** The way to the guest's second serial port. */
    @FunctionalInterface
    public interface Sender {
        /**
         * Sends bytes without waiting for the guest.
         *
         * @throws IllegalArgumentException if they are too many
         */
        void send(byte[] request);
    }

    /**
     * Creates the host's end of a shell.
     *
     * @param line gets what the guest sends
     * @param sender takes what is sent to the guest
     * @param console gives the last of what the kernel has printed
     */
    public GuestShell(ShellLine line, Sender sender, Supplier<String> console) {
        this.line = line;
        this.sender = sender;
        this.console = console;
    }

    /** Waits until the guest has loaded its modules and takes commands. */
    public void awaitBoot() throws InterruptedException {
        CommandResult loaded = started("boot and load the modules").await(PATIENCE);
        if (loaded.status() != 0) {
            throw failure(loaded);
        }
    }

    /** A command that may still run. */
    public final class Command {
        private final String text;

        private Command(String text) {
            this.text = text;
        }

        /**
         * Waits for its end. May be called again if it has failed for the time.
         *
         * @param limit how long it may still take
         * @throws AssertionError if it takes longer, or the guest ends
         */
        public CommandResult await(Duration limit) throws InterruptedException {
            try {
                ShellLine.Reply reply = line.await(limit);
                ended();
                return new CommandResult(text, reply.status(), reply.output());
            } catch (ShellLine.NoReply e) {
                throw new AssertionError("no end of: " + text + "\n" + e.getMessage() + "; its output so far:\n"
                        + line.output() + "\n-- the guest's console --\n" + console.get());
            }
        }

        /** Returns what it has printed so far. */
        public String output() {
            return line.output();
        }
    }

    /**
     * Starts a command. The next one can be started when this one has been waited for.
     *
     * @param command a script for the shell of busybox, of at most 65000 bytes
     * @throws IllegalStateException if another command has not ended, or no one has waited for its end
     */
    public Command begin(String command) {
        Command begun = started(command);
        byte[] script = command.getBytes(StandardCharsets.UTF_8);
        sender.send((script.length + "\n" + command).getBytes(StandardCharsets.UTF_8));
        return begun;
    }

    private synchronized Command started(String command) {
        if (running != null) {
            throw new IllegalStateException(
                    "the guest still runs: " + running.text + "\nwait for its end before: " + command);
        }
        running = new Command(command);
        return running;
    }

    private synchronized void ended() {
        running = null;
    }

    /**
     * Runs a command.
     *
     * @param command as in {@link #begin}
     * @param limit how long it may take
     * @throws AssertionError if it takes longer, or the guest ends
     */
    public CommandResult execute(String command, Duration limit) throws InterruptedException {
        return begin(command).await(limit);
    }

    /**
     * Runs a command that must succeed.
     *
     * @param command as in {@link #begin}
     * @param limit how long it may take
     * @return its output without line feeds at the end
     * @throws AssertionError if its exit status is not 0, or as in {@link #execute}
     */
    public String run(String command, Duration limit) throws InterruptedException {
        CommandResult result = execute(command, limit);
        if (result.status() != 0) {
            throw failure(result);
        }
        return result.output().replaceFirst("\n+$", "");
    }

    /** Says how a command ended, and what the kernel has to say. */
    private AssertionError failure(CommandResult result) throws InterruptedException {
        String messages = execute("dmesg | tail -n " + LINES_SHOWN, PATIENCE).output();
        return new AssertionError("exit status " + result.status() + " of: " + result.command() + "\n" + result.output()
                + "\n-- the guest's dmesg --\n" + messages);
    }
}
