package io.github.jkvm.samples.linux;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * What the guest prints, split at the word with which it says that the command starts: what comes before are the kernel's messages, what
 * comes after is the command's output. Remembers the end of it all, for the case that the guest dies.
 *
 * <p>For one thread at a time.
 */
final class GuestOutput extends OutputStream {
    private static final int TAIL = 16 * 1024;

    private final byte[] ready;
    private final OutputStream before;
    private final OutputStream after;
    private final Runnable whenReady;
    private final byte[] tail = new byte[TAIL];
    private long written;

    /** How many bytes of the word were the last to arrive; its length once it was seen. */
    private int matched;

    /**
     * @param ready the word, of ASCII characters of which the first occurs in it only once; empty if everything is the command's output
     * @param before where the kernel's messages go
     * @param after where the command's output goes
     * @param whenReady called once when the word was seen, or at the first output if it is empty
     */
    GuestOutput(String ready, OutputStream before, OutputStream after, Runnable whenReady) {
        if (!ready.isEmpty() && ready.indexOf(ready.charAt(0), 1) >= 0) {
            throw new IllegalArgumentException("the first character of '" + ready + "' occurs in it again");
        }
        this.ready = ready.getBytes(StandardCharsets.US_ASCII);
        this.before = before;
        this.after = after;
        this.whenReady = whenReady;
        if (this.ready.length == 0) {
            whenReady.run();
        }
    }

    @Override
    public void write(int value) throws IOException {
        write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
        int end = offset + length;
        for (int i = offset; i < end; i++) {
            tail[(int) (written++ % TAIL)] = bytes[i];
        }
        int at = offset;
        while (at < end && matched < ready.length) {
            match(bytes[at++]);
        }
        if (at < end) {
            after.write(bytes, at, end - at);
        }
        after.flush();
        before.flush();
    }

    private void match(byte next) throws IOException {
        if (next == ready[matched]) {
            matched++;
            if (matched == ready.length) {
                whenReady.run();
            }
            return;
        }
        // The word's first character does not come again in it, so a match that breaks can only begin anew at this
        // byte.
        before.write(ready, 0, matched);
        matched = next == ready[0] ? 1 : 0;
        if (matched == 0) {
            before.write(next);
        }
    }

    /** Tells whether the command was started. */
    boolean isReady() {
        return matched == ready.length;
    }

    /** Returns the last of all that was printed, as text. */
    String tail() {
        int start = (int) (written % TAIL);
        byte[] bytes = new byte[TAIL];
        System.arraycopy(tail, start, bytes, 0, TAIL - start);
        System.arraycopy(tail, 0, bytes, TAIL - start, start);
        int length = (int) Math.min(written, TAIL);
        return new String(Arrays.copyOfRange(bytes, TAIL - length, TAIL), StandardCharsets.UTF_8);
    }
}
