package io.github.jkvm.testkit.asm;

import java.util.HexFormat;

/** Text of an assembled program: address, bytes and instruction on each line. */
final class Listing {
    /** Data longer than this is cut. */
    private static final int BYTES_SHOWN = 16;

    private static final int COLUMN = 34;

    private final long origin;
    private final byte[] code;
    private final StringBuilder text = new StringBuilder();

    Listing(long origin, byte[] code) {
        this.origin = origin;
        this.code = code;
    }

    void label(Label label) {
        text.append(label).append(":\n");
    }

    void line(int start, int end, String statement) {
        if (start == end) {
            return;
        }
        int shown = Math.min(end, start + BYTES_SHOWN);
        String bytes = HexFormat.of().formatHex(code, start, shown) + (shown < end ? ".." : "");
        text.append(HexFormat.of().toHexDigits(origin + start, 8))
                .append("  ")
                .append(bytes)
                .repeat(' ', Math.max(2, COLUMN + 2 - bytes.length()))
                .append(statement)
                .append('\n');
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
