package io.github.jkvm.sandbox;

import io.github.jkvm.sandbox.linux.CommandProcess;
import io.github.jkvm.sandbox.linux.PipedOutput;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * A {@link Command} that runs. Its limits count until its end, as its output does.
 *
 * <p>Safe for use by many threads, its streams each by one at a time.
 */
public final class RunningCommand implements AutoCloseable {
    private static final int KILL = 9;

    private final CommandProcess process;
    private final PipedOutput output;
    private final PipedOutput errors;

    RunningCommand(CommandProcess process, PipedOutput output, PipedOutput errors) {
        this.process = process;
        this.output = output;
        this.errors = errors;
    }

    /**
     * Returns its standard input. A write waits while the command does not read, beyond some 128 KiB, and throws an {@link java.io.IOException} once it reads
     * no more.
     *
     * @return the stream, which is not buffered; closing it is the input's end
     */
    public OutputStream input() {
        return process.input();
    }

    /**
     * Returns its standard output. The command waits when it has written some 256 KiB that no one has read.
     *
     * @return the stream; at its end when the command is; closing it drops what comes
     */
    public InputStream output() {
        return output;
    }

    /**
     * Returns its standard error, which is as its {@link #output()}.
     *
     * @return the stream
     */
    public InputStream errors() {
        return errors;
    }

    /**
     * Sends a signal to the command and all processes of its group. Does nothing if it has ended.
     *
     * @param number the signal, such as 15
     * @throws IllegalArgumentException if it is not from 1 to 64
     */
    public void signal(int number) {
        if (number < 1 || number > 64) {
            throw new IllegalArgumentException("signal " + number + " must be from 1 to 64");
        }
        process.signal(number);
    }

    /** Kills the command and all processes of its group, with a signal. */
    public void kill() {
        signal(KILL);
    }

    /**
     * Tells whether the command runs.
     *
     * @return false once it has ended, in any way
     */
    public boolean isAlive() {
        return process.isAlive();
    }

    /**
     * Waits until the command has ended. Its output may be read before or after that; what no one reads does not keep this from returning.
     *
     * @return how it ended; its output is in the streams, and not in here
     * @throws SandboxException if it did not come to an end of its own, as {@link Command#run()} says
     * @throws InterruptedException if the thread is interrupted; the command goes on
     */
    public CommandResult await() throws InterruptedException {
        return new CommandResult(process.await(), new byte[0], new byte[0]);
    }

    /** Kills the command if it runs, and drops what it has put out. The sandbox stays as it is. Closing twice does nothing. */
    @Override
    public void close() {
        process.close();
        output.close();
        errors.close();
    }
}
