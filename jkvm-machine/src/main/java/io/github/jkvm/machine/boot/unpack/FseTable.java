package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;

/**
 * A table of Finite State Entropy (RFC 8878, 4.1): for each state the symbol, and how the next state is read. What describes it takes from 4
 * bits up.
 */
final class FseTable {
    private static final int MAX_SYMBOLS = 256;

    /** How many bits a state has. */
    final int accuracy;

    /** The symbol of each state. */
    private final byte[] symbols;

    /** How many bits to read for the next state. */
    private final byte[] bits;

    /** What to add to them. */
    private final short[] bases;

    /** Builds the table (RFC 8878, 4.1.1, "From Normalized Distribution to Decoding Tables"). */
    FseTable(int accuracy, short[] probabilities, int count) throws IOException {
        this.accuracy = accuracy;
        int size = 1 << accuracy;
        symbols = new byte[size];
        bits = new byte[size];
        bases = new short[size];
        int[] next = new int[count];
        int high = size;
        for (int s = 0; s < count; s++) {
            // A probability of "less than 1" is written as -1 and gets one state at the end.
            if (probabilities[s] == -1) {
                symbols[--high] = (byte) s;
                next[s] = 1;
            }
        }
        int step = (size >> 1) + (size >> 3) + 3;
        int position = 0;
        for (int s = 0; s < count; s++) {
            if (probabilities[s] <= 0) {
                continue;
            }
            next[s] = probabilities[s];
            for (int i = 0; i < probabilities[s]; i++) {
                symbols[position] = (byte) s;
                do {
                    position = (position + step) & (size - 1);
                } while (position >= high);
            }
        }
        if (position != 0) {
            throw new IOException("zstd table has probabilities that do not sum up to " + size);
        }
        for (int i = 0; i < size; i++) {
            int state = next[Byte.toUnsignedInt(symbols[i])]++;
            int width = accuracy - (Integer.SIZE - 1 - Integer.numberOfLeadingZeros(state));
            bits[i] = (byte) width;
            bases[i] = (short) ((state << width) - size);
        }
    }

    /** Returns the table in which one symbol has all states. */
    static FseTable of(int symbol) throws IOException {
        short[] probabilities = new short[symbol + 1];
        probabilities[symbol] = 1;
        return new FseTable(0, probabilities, symbol + 1);
    }

    /** A table, and where its description ended. */
    record Read(FseTable table, int end) {}

    /** Reads a description (RFC 8878, 4.1.1, "FSE Table Description"). */
    static Read read(byte[] bytes, int start, int end, int maxAccuracy, int maxSymbol) throws IOException {
        int accuracy = (bytes[start] & 0xF) + 5;
        if (accuracy > maxAccuracy) {
            throw new IOException("zstd table at offset " + start + " has accuracy " + accuracy + "; at most "
                    + maxAccuracy + " is allowed");
        }
        short[] probabilities = new short[MAX_SYMBOLS];
        int remaining = 1 << accuracy;
        int symbol = 0;
        int bit = 4;
        while (remaining > 0) {
            checkSymbol(symbol, maxSymbol, start);
            // A value from 0 to remaining + 1 takes as many bits as the largest does, or one less if it is small.
            int width = Integer.SIZE - Integer.numberOfLeadingZeros(remaining + 1);
            int small = (1 << width) - 1 - (remaining + 1);
            int value = forward(bytes, start, bit, width);
            int low = value & (1 << (width - 1)) - 1;
            bit += width;
            if (low < small) {
                value = low;
                bit--;
            } else if (value != low) {
                value -= small;
            }
            int probability = value - 1;
            remaining -= Math.abs(probability);
            probabilities[symbol++] = (short) probability;
            // A zero is followed by how many more there are, in steps of up to 3.
            for (int repeat = probability == 0 ? 3 : 0; repeat == 3; ) {
                repeat = forward(bytes, start, bit, 2);
                bit += 2;
                symbol += repeat;
                checkSymbol(symbol - 1, maxSymbol, start);
            }
        }
        int descriptionEnd = start + (bit + 7) / 8;
        if (remaining < 0 || descriptionEnd > end) {
            throw new IOException("zstd table at offset " + start + " is cut off or has too large probabilities");
        }
        return new Read(new FseTable(accuracy, probabilities, symbol), descriptionEnd);
    }

    private static void checkSymbol(int symbol, int maxSymbol, int start) throws IOException {
        if (symbol > maxSymbol) {
            throw new IOException(
                    "zstd table at offset " + start + " has symbol " + symbol + "; the last is " + maxSymbol);
        }
    }

    private static int forward(byte[] bytes, int start, int bit, int count) {
        return (int) (LittleEndian.u64(bytes, start + (bit >> 3)) >>> (bit & 7)) & (1 << count) - 1;
    }

    /** Reads the first state. */
    int firstState(BackwardBits stream) {
        return stream.read(accuracy);
    }

    int symbol(int state) {
        return Byte.toUnsignedInt(symbols[state]);
    }

    int nextState(int state, BackwardBits stream) {
        return bases[state] + stream.read(bits[state]);
    }
}
