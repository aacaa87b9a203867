package io.github.jkvm.testkit.linux;

import java.nio.charset.StandardCharsets;

/** How a command in a guest ended. Immutable. */
public final class CommandResult {
    private final String command;
    private final int status;
    private final byte[] output;
    private final byte[] errors;

    CommandResult(String command, int status, byte[] output, byte[] errors) {
        this.command = command;
        this.status = status;
        this.output = output;
        this.errors = errors;
    }

    /**
     * Returns the command.
     *
     * @return its script
     */
    public String command() {
        return command;
    }

    /**
     * Returns its exit status.
     *
     * @return 0 to 255; 128 and a signal's number if the signal ended it
     */
    public int status() {
        return status;
    }

    /**
     * Returns what it wrote to its standard output.
     *
     * @return the text, read as UTF-8; empty if it was handed on
     */
    public String output() {
        return new String(output, StandardCharsets.UTF_8);
    }

    /**
     * Returns what it wrote to its standard error.
     *
     * @return the text, read as UTF-8; empty if it was handed on
     */
    public String errors() {
        return new String(errors, StandardCharsets.UTF_8);
    }

    /**
     * Returns what it wrote to its standard output.
     *
     * @return a copy of the bytes
     */
    public byte[] outputBytes() {
        return output.clone();
    }

    /**
     * Returns what it wrote to its standard error.
     *
     * @return a copy of the bytes
     */
    public byte[] errorBytes() {
        return errors.clone();
    }

    /** Returns command, status and output, for messages. */
    @Override
    public String toString() {
        return "exit status " + status + " of: " + command + "\n-- standard output --\n" + output()
                + "\n-- standard error --\n" + errors();
    }
}
