package io.github.jkvm.it.linux;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * What a guest sends over the serial line of its shell: the output of a command, then a zero byte, a word that no one can guess, a blank,
 * the command's exit status and a line feed. The guest's process 1 writes that (resource {@code init}).
 */
public final class ShellLine extends OutputStream {
    /** Bytes of output that a command may send. */
    private static final int LIMIT = 8 << 20;

    private final String word = UUID.randomUUID().toString();
    private final ByteArrayOutputStream output = new ByteArrayOutputStream();
    private final ByteArrayOutputStream mark = new ByteArrayOutputStream();
    private boolean inMark;
    private @Nullable Reply reply;
    private @Nullable String end;

    /**
     * The end of a command.
     *
     * @param status its exit status
     * @param output its output
     */
    record Reply(int status, String output) {}

    /** Thrown when there is no reply. */
    static final class NoReply extends Exception {
        private static final long serialVersionUID = 1;

        NoReply(String message) {
            super(message);
        }
    }

    /** Returns the word with which the guest ends its replies. */
    String word() {
        return word;
    }

    @Override
    public synchronized void write(int value) throws IOException {
        if (value == 0) {
            giveUpMark();
            inMark = true;
        }
        if (!inMark) {
            append(value);
            return;
        }
        mark.write(value);
        if (value == '\n') {
            String text = mark.toString(StandardCharsets.US_ASCII);
            String start = "\0" + word + " ";
            if (text.startsWith(start)) {
                reply = new Reply(
                        Integer.parseInt(text.substring(start.length()).strip()), output());
                output.reset();
                mark.reset();
                inMark = false;
                notifyAll();
            } else {
                giveUpMark();
            }
        }
    }

    private void giveUpMark() throws IOException {
        inMark = false;
        byte[] bytes = mark.toByteArray();
        mark.reset();
        for (byte each : bytes) {
            append(each);
        }
    }

    private void append(int value) throws IOException {
        if (output.size() == LIMIT) {
            throw new IOException(
                    "a command in the guest printed more than " + LIMIT + " bytes; write to a file there");
        }
        output.write(value);
    }

    /** Returns what has come since the last reply. */
    synchronized String output() {
        return output.toString(StandardCharsets.UTF_8);
    }

    /**
     * Says that no more will come.
     *
     * @param how the machine has ended
     */
    public synchronized void end(String how) {
        end = how;
        notifyAll();
    }

    /**
     * Waits for the next reply, and takes it.
     *
     * @throws NoReply if it does not come in time, or the machine ends
     */
    synchronized Reply await(Duration limit) throws InterruptedException, NoReply {
        long deadline = System.nanoTime() + limit.toNanos();
        while (reply == null) {
            if (end != null) {
                throw new NoReply(end);
            }
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                throw new NoReply("it has not ended within " + limit);
            }
            TimeUnit.NANOSECONDS.timedWait(this, left);
        }
        Reply taken = reply;
        reply = null;
        return taken;
    }
}
