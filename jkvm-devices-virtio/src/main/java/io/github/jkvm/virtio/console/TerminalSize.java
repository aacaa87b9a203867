package io.github.jkvm.virtio.console;

/**
 * The size of a terminal.
 *
 * @param columns characters in a line, 1 to 65535
 * @param rows lines, 1 to 65535
 */
public record TerminalSize(int columns, int rows) {
    private static final int MOST = 0xFFFF;

    /**
     * Creates a size.
     *
     * @throws IllegalArgumentException if either number is out of range
     */
    public TerminalSize {
        if (columns < 1 || columns > MOST || rows < 1 || rows > MOST) {
            throw new IllegalArgumentException(
                    "terminal of " + columns + " columns and " + rows + " rows: each must be from 1 to " + MOST);
        }
    }
}
