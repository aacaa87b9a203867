package io.github.jkvm.testkit.linux;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import org.jspecify.annotations.Nullable;

/** One of the two streams that a command writes: kept up to a limit, or handed on, with the last of it kept for messages. */
final class CommandOutput extends OutputStream {
    private static final int TAIL = 1 << 13;

    private final String title;
    private final int limit;
    private final @Nullable OutputStream target;
    private final ByteArrayOutputStream kept = new ByteArrayOutputStream();
    private final KernelLog tail = new KernelLog(TAIL);
    private long length;
    private @Nullable IOException refused;

    /**
     * Takes a stream.
     *
     * @param title what messages call it
     * @param limit how many bytes are kept
     * @param target where it is handed on to instead, if that is wished
     */
    CommandOutput(String title, int limit, @Nullable OutputStream target) {
        this.title = title;
        this.limit = limit;
        this.target = target;
    }

    @Override
    public void write(int value) {
        write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int count) {
        synchronized (this) {
            length += count;
            tail.write(bytes, offset, count);
            if (target == null) {
                kept.write(bytes, offset, Math.min(count, limit - kept.size()));
            }
            if (target == null || refused != null) {
                return;
            }
        }
        // Outside the lock: a target that blocks holds the guest back, but no one who asks what has come.
        try {
            target.write(bytes, offset, count);
        } catch (IOException e) {
            synchronized (this) {
                refused = e;
            }
        }
    }

    /** Returns what is kept. */
    synchronized byte[] bytes() {
        return kept.toByteArray();
    }

    /** Returns what went wrong with the output, or an empty text. */
    synchronized String problem() {
        if (refused != null) {
            return "the stream for its " + title + " has refused it: " + refused;
        }
        return target == null && length > limit
                ? "it has printed " + length + " bytes to its " + title + ", of which " + limit
                        + " are kept; hand them on with GuestCommand.withOutputTo or withErrorsTo"
                : "";
    }

    /** Appends its last lines to a message. */
    synchronized void describe(StringBuilder message) {
        String text = length == 0 ? "" : tail.text();
        message.append("\n-- ").append(title);
        if (length == 0) {
            message.append(": nothing --");
            return;
        }
        message.append(length > TAIL ? ": the last of " + length + " bytes --\n" : " --\n");
        message.append(text.stripTrailing());
    }
}
