package io.github.jkvm.samples.linux;

import java.io.Console;
import java.io.IOException;
import java.util.EnumSet;
import org.jline.terminal.Attributes;
import org.jline.terminal.Attributes.ControlChar;
import org.jline.terminal.Attributes.InputFlag;
import org.jline.terminal.Attributes.LocalFlag;
import org.jline.terminal.Attributes.OutputFlag;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;

/**
 * This program's terminal, set so that every key goes to the guest and every byte of the guest to the screen. It is as before once this is
 * closed or the JVM ends, by a signal too.
 */
final class RawTerminal implements AutoCloseable {
    private static final int DEFAULT_ROWS = 24;
    private static final int DEFAULT_COLUMNS = 80;

    private final Terminal terminal;

    /** Takes over the terminal. */
    RawTerminal() throws IOException {
        // JLine puts the terminal back when it is closed, and closes it when the JVM ends. Its provider that works
        // through stty(1)
        // leaves alone what it has no name for; in 3.30.6 the one that makes system calls loses the line speed.
        terminal = TerminalBuilder.builder()
                .system(true)
                .dumb(false)
                .provider(TerminalBuilder.PROP_PROVIDER_EXEC)
                .build();
        Attributes raw = new Attributes(terminal.getAttributes());
        // The flags that cfmakeraw(3) clears.
        raw.setInputFlags(
                EnumSet.of(
                        InputFlag.IGNBRK,
                        InputFlag.BRKINT,
                        InputFlag.PARMRK,
                        InputFlag.ISTRIP,
                        InputFlag.INLCR,
                        InputFlag.IGNCR,
                        InputFlag.ICRNL,
                        InputFlag.IXON),
                false);
        raw.setOutputFlag(OutputFlag.OPOST, false);
        raw.setLocalFlags(
                EnumSet.of(LocalFlag.ECHO, LocalFlag.ECHONL, LocalFlag.ICANON, LocalFlag.ISIG, LocalFlag.IEXTEN),
                false);
        raw.setControlChar(ControlChar.VMIN, 1);
        raw.setControlChar(ControlChar.VTIME, 0);
        terminal.setAttributes(raw);
    }

    /** Tells whether a person sits at both ends: stdin and stdout are a terminal. */
    @SuppressWarnings("SystemConsoleNull") // since JDK 25 it is null again where it is no terminal
    static boolean isThere() {
        Console console = System.console();
        return console != null && console.isTerminal();
    }

    /** Returns arguments of stty that give the guest's end of the console the size of this terminal. */
    String size() {
        int rows = terminal.getHeight() > 0 ? terminal.getHeight() : DEFAULT_ROWS;
        int columns = terminal.getWidth() > 0 ? terminal.getWidth() : DEFAULT_COLUMNS;
        return "sane rows " + rows + " cols " + columns;
    }

    /** Returns the terminal's type, for the variable TERM. */
    String type() {
        return terminal.getType();
    }

    @Override
    public void close() throws IOException {
        terminal.close();
    }
}
