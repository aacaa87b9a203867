package io.github.jkvm.testkit.linux;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What a guest sends over one line: the output of a command, then a mark, which is a zero byte, a word that no one can guess, a blank, the
 * command's exit status and a line feed. What comes while no mark is waited for is of processes that were left behind, and is dropped.
 *
 * <p>Written to by one thread, set by others.
 */
final class MarkedStream extends OutputStream {
    private static final int MOST_DIGITS = 3;

    /** What is waited for; null between commands. */
    private byte @Nullable [] mark;

    /** How many bytes of the mark have come, and then of the status. */
    private int matched;

    private int digits;
    private int status;
    private OutputStream output = OutputStream.nullOutputStream();
    private IntConsumer end = status -> {};

    /**
     * Begins to take the output of a command.
     *
     * @param word the word in its mark, of ASCII letters, digits and dashes
     * @param sink gets the output; an exception that it throws goes to the writer
     * @param whenEnded gets the status when the mark has come; may call this method
     */
    synchronized void expect(String word, OutputStream sink, IntConsumer whenEnded) {
        mark = ("\0" + word + " ").getBytes(StandardCharsets.US_ASCII);
        matched = 0;
        digits = 0;
        status = 0;
        output = sink;
        end = whenEnded;
    }

    @Override
    public void write(int value) throws IOException {
        write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public synchronized void write(byte[] bytes, int offset, int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, bytes.length);
        int limit = offset + length;
        int at = offset;
        while (at < limit && mark != null) {
            if (matched == 0) {
                int stop = at;
                while (stop < limit && bytes[stop] != 0) {
                    stop++;
                }
                output.write(bytes, at, stop - at);
                matched = stop < limit ? 1 : 0;
                at = stop + matched;
            } else {
                matchOne(bytes[at++], mark);
            }
        }
    }

    /** Takes the byte after a part of the mark. A zero byte is nowhere in it but in front. */
    private void matchOne(byte value, byte[] expected) throws IOException {
        if (matched < expected.length && value == expected[matched]) {
            matched++;
        } else if (matched == expected.length && value >= '0' && value <= '9' && digits < MOST_DIGITS) {
            status = status * 10 + value - '0';
            digits++;
        } else if (matched == expected.length && value == '\n' && digits > 0) {
            IntConsumer ended = end;
            int how = status;
            mark = null;
            ended.accept(how);
        } else {
            giveUp(expected);
            if (value == 0) {
                matched = 1;
            } else {
                output.write(value);
            }
        }
    }

    /** What looked like a mark is output. */
    private void giveUp(byte[] expected) throws IOException {
        output.write(expected, 0, matched);
        if (digits > 0) {
            String number = "0".repeat(digits) + status;
            output.write(number.substring(number.length() - digits).getBytes(StandardCharsets.US_ASCII));
        }
        matched = 0;
        digits = 0;
        status = 0;
    }
}
