package io.github.jkvm.samples.linux;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/** Ways to turn what comes from stdin into what goes to the guest's console. */
final class GuestInput {
    /** What {@code stty} sets in the guest so that bytes of a pipe arrive as they are, while its end is known from {@link #END}. */
    static final String TERMINAL_FOR_PIPE =
            "-echo -onlcr -icrnl -isig -ixon icanon iexten erase undef kill undef werase undef rprnt undef";

    /** Ctrl-A, as in QEMU, minicom and screen. */
    static final int ESCAPE = 1;

    /** After {@link #ESCAPE}: ends the machine. */
    static final int QUIT = 'x';

    // The characters of termios(3) that mean end of file, and that the next one has no meaning.
    private static final int END = 4;
    private static final int LITERAL = 22;

    private GuestInput() {}

    /** Copies a pipe to a guest terminal set by {@link #TERMINAL_FOR_PIPE}, and tells it the end. */
    static void copyPipe(InputStream from, OutputStream to) throws IOException {
        byte[] buffer = new byte[4096];
        byte[] quoted = new byte[2 * buffer.length];
        int last = '\n';
        for (int count = from.read(buffer); count >= 0; count = from.read(buffer)) {
            int length = 0;
            for (int i = 0; i < count; i++) {
                last = buffer[i];
                if (last == END || last == LITERAL) {
                    quoted[length++] = LITERAL;
                }
                quoted[length++] = (byte) last;
            }
            to.write(quoted, 0, length);
            to.flush();
        }
        // Within a line the first one only hands over what there is of it.
        to.write(last == '\n' ? new byte[] {END} : new byte[] {END, END});
        to.flush();
    }

    /**
     * Copies keys to the guest until the user has typed Ctrl-A x or the terminal is gone. Ctrl-A typed twice sends one Ctrl-A.
     */
    static void copyKeys(InputStream from, OutputStream to) throws IOException {
        byte[] buffer = new byte[256];
        boolean escaped = false;
        for (int count = from.read(buffer); count >= 0; count = from.read(buffer)) {
            int length = 0;
            for (int i = 0; i < count; i++) {
                byte key = buffer[i];
                if (escaped && key == QUIT) {
                    return;
                }
                boolean escape = key == ESCAPE && !escaped;
                if (!escape) {
                    buffer[length++] = key;
                }
                escaped = escape;
            }
            to.write(buffer, 0, length);
            to.flush();
        }
    }
}
