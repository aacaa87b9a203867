package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * One of the three kinds of code in a sequence: its limits, its predefined table, and the table in use (RFC 8878, 3.1.1.3.2.1).
 */
final class SequenceCodes {
    private static final int PREDEFINED = 0;
    private static final int RLE = 1;
    private static final int COMPRESSED = 2;

    private final String name;
    private final int maxAccuracy;
    private final int maxSymbol;
    private final int predefinedAccuracy;
    private final short[] predefined;
    private @Nullable FseTable table;

    private SequenceCodes(String name, int maxAccuracy, int maxSymbol, int predefinedAccuracy, int... predefined) {
        this.name = name;
        this.maxAccuracy = maxAccuracy;
        this.maxSymbol = maxSymbol;
        this.predefinedAccuracy = predefinedAccuracy;
        this.predefined = new short[predefined.length];
        for (int i = 0; i < predefined.length; i++) {
            this.predefined[i] = (short) predefined[i];
        }
    }

    static SequenceCodes literalLengths() {
        return new SequenceCodes(
                "literal lengths",
                9,
                35,
                6,
                4,
                3,
                2,
                2,
                2,
                2,
                2,
                2,
                2,
                2,
                2,
                2,
                2,
                1,
                1,
                1,
                2,
                2,
                2,
                2,
                2,
                2,
                2,
                2,
                2,
                3,
                2,
                1,
                1,
                1,
                1,
                1,
                -1,
                -1,
                -1,
                -1);
    }

    static SequenceCodes matchLengths() {
        return new SequenceCodes(
                "match lengths",
                9,
                52,
                6,
                1,
                4,
                3,
                2,
                2,
                2,
                2,
                2,
                2,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                -1,
                -1,
                -1,
                -1,
                -1,
                -1,
                -1);
    }

    static SequenceCodes offsets() {
        return new SequenceCodes(
                "offsets", 8, 31, 5, 1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1,
                -1, -1);
    }

    /** Takes the table that a mode asks for into use. Returns where its description ends. */
    int read(int mode, byte[] input, int start, int end) throws IOException {
        switch (mode) {
            case PREDEFINED -> table = new FseTable(predefinedAccuracy, predefined, predefined.length);
            case RLE -> {
                int symbol = start < end ? Byte.toUnsignedInt(input[start]) : Integer.MAX_VALUE;
                if (symbol > maxSymbol) {
                    throw new IOException(
                            "zstd " + name + " at offset " + start + " are not a code from 0 to " + maxSymbol);
                }
                table = FseTable.of(symbol);
                return start + 1;
            }
            case COMPRESSED -> {
                FseTable.Read description = FseTable.read(input, start, end, maxAccuracy, maxSymbol);
                table = description.table();
                return description.end();
            }
            default -> table(); // repeats the last one, which must be there
        }
        return start;
    }

    FseTable table() throws IOException {
        FseTable current = table;
        if (current == null) {
            throw new IOException("zstd block uses a table for " + name + " that was not given");
        }
        return current;
    }
}
