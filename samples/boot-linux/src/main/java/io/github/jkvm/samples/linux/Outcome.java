package io.github.jkvm.samples.linux;

import io.github.jkvm.machine.MachineExit;
import org.jspecify.annotations.Nullable;

/**
 * How the guest ended, as the user sees it.
 *
 * @param status the exit status of this program
 * @param explanation what to print on stderr; empty if the command ended by itself
 */
record Outcome(int status, String explanation) {
    static final int STOPPED_WITHOUT_STATUS = 121;
    static final int TRIPLE_FAULT = 122;
    static final int PANIC = 123;
    static final int TIME_LIMIT = 124;
    static final int NOT_STARTED = 125;
    static final int QUIT = 130;
    static final int STDOUT_CLOSED = 141;

    /** What Linux prints when it gives up (kernel/panic.c). */
    private static final String PANIC_MESSAGE = "Kernel panic - not syncing";

    /** Why this program stopped the machine. */
    enum Wish {
        QUIT,
        STDOUT_CLOSED
    }

    /**
     * Explains how a machine ended.
     *
     * @param exit how it ended
     * @param wish why this program stopped it, if it did
     * @param options what the user asked for
     * @param tail the last that the guest printed
     * @param ready whether the command was started, so that the user has seen what was printed since
     */
    static Outcome of(MachineExit exit, @Nullable Wish wish, Options options, String tail, Ready ready) {
        return switch (exit.reason()) {
            case EXIT_CODE -> new Outcome(exit.exitCode().orElseThrow() & 0xFF, "");
            case POWER_OFF, SHUTDOWN -> new Outcome(0, "");
            case DEADLINE ->
                failed(
                        TIME_LIMIT,
                        "stopped at the time limit of "
                                + (options.timeout() == null
                                        ? exit.detail()
                                        : options.timeout().toSeconds() + " s"),
                        options,
                        tail,
                        ready);
            case STOPPED ->
                wish == Wish.STDOUT_CLOSED
                        ? new Outcome(STDOUT_CLOSED, "")
                        : new Outcome(QUIT, "\nboot-linux: ended with Ctrl-A x");
            case TRIPLE_FAULT ->
                failed(TRIPLE_FAULT, "the guest ended in a triple fault: " + exit.detail(), options, tail, ready);
            case PANIC -> failed(PANIC, "the guest's kernel panicked", options, tail, ready);
            case RESET ->
                tail.contains(PANIC_MESSAGE)
                        ? failed(PANIC, "the guest's kernel panicked", options, tail, ready)
                        : failed(STOPPED_WITHOUT_STATUS, "the guest reset itself", options, tail, ready);
            case HALT -> failed(STOPPED_WITHOUT_STATUS, "the guest halted: " + exit.detail(), options, tail, ready);
            case ERROR ->
                failed(STOPPED_WITHOUT_STATUS, "the guest can't be run on: " + exit.detail(), options, tail, ready);
        };
    }

    /** Whether the guest's command was started. */
    enum Ready {
        NO,
        YES
    }

    private static Outcome failed(int status, String what, Options options, String tail, Ready ready) {
        String explanation = "boot-linux: " + what + "\n";
        if (ready == Ready.NO && options.messages() == Options.Messages.HIDDEN) {
            String messages = tail.replace("\r", "").strip();
            explanation += messages.isEmpty()
                    ? "boot-linux: the guest printed nothing; --verbose shows all of its kernel's messages\n"
                    : "boot-linux: the last that the guest printed:\n" + messages + "\n";
        }
        return new Outcome(status, explanation);
    }
}
