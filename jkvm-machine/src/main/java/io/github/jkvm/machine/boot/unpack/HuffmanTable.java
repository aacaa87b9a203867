package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;

/** A Huffman table for literals (RFC 8878, 4.2): what the next bits, as many as the longest code has, stand for. */
final class HuffmanTable {
    private static final int MAX_BITS = 11;
    private static final int MAX_WEIGHTS = 255;
    private static final int MAX_WEIGHTS_ACCURACY = 6;
    /** From this header byte on, weights are written in four bits each. */
    private static final int DIRECT = 128;

    private final int width;
    private final byte[] symbols;
    private final byte[] bits;

    private HuffmanTable(byte[] weights, int count) throws IOException {
        int sum = 0;
        for (int i = 0; i < count; i++) {
            sum += weights[i] == 0 ? 0 : 1 << (weights[i] - 1);
        }
        width = Integer.SIZE - Integer.numberOfLeadingZeros(sum);
        // The last weight is not written: it makes the sum a power of two (4.2.1).
        int left = (1 << width) - sum;
        if (sum == 0 || width > MAX_BITS || Integer.bitCount(left) != 1) {
            throw new IOException("zstd Huffman weights sum up to " + sum + ", which no last weight completes");
        }
        weights[count] = (byte) (Integer.SIZE - Integer.numberOfLeadingZeros(left));
        symbols = new byte[1 << width];
        bits = new byte[1 << width];
        int position = 0;
        for (int weight = 1; weight <= width; weight++) {
            for (int symbol = 0; symbol <= count; symbol++) {
                if (weights[symbol] == weight) {
                    for (int end = position + (1 << (weight - 1)); position < end; position++) {
                        symbols[position] = (byte) symbol;
                        bits[position] = (byte) (width + 1 - weight);
                    }
                }
            }
        }
    }

    /** A table, and where its description ended. */
    record Read(HuffmanTable table, int end) {}

    /** Reads a description (RFC 8878, 4.2.1, "Huffman Tree Description"). */
    static Read read(byte[] bytes, int start, int end) throws IOException {
        int header = start < end ? Byte.toUnsignedInt(bytes[start]) : 0;
        byte[] weights = new byte[MAX_WEIGHTS + 1];
        int from = start + 1;
        int count;
        int to;
        if (header >= DIRECT) {
            count = header - DIRECT + 1;
            to = from + (count + 1) / 2;
            if (to <= end) {
                for (int i = 0; i < count; i++) {
                    weights[i] = (byte) (bytes[from + i / 2] >> (i % 2 == 0 ? 4 : 0) & 0xF);
                }
            }
        } else {
            to = from + header;
            count = to <= end ? readWeights(bytes, from, to, weights) : 0;
        }
        if (header == 0 || to > end) {
            throw new IOException("zstd Huffman table at offset " + start + " is cut off");
        }
        for (int i = 0; i < count; i++) {
            if (weights[i] > MAX_BITS) {
                throw new IOException("zstd Huffman weight " + weights[i] + " is above " + MAX_BITS);
            }
        }
        return new Read(new HuffmanTable(weights, count), to);
    }

    /** Reads weights packed by two alternating states of one table, until the stream has ended (4.2.1.2). */
    private static int readWeights(byte[] bytes, int start, int end, byte[] weights) throws IOException {
        FseTable.Read description = FseTable.read(bytes, start, end, MAX_WEIGHTS_ACCURACY, MAX_BITS + 1);
        FseTable table = description.table();
        BackwardBits stream = new BackwardBits(bytes, description.end(), end - description.end());
        int current = table.firstState(stream);
        int other = table.firstState(stream);
        int count = 0;
        while (count < MAX_WEIGHTS - 1) {
            weights[count++] = (byte) table.symbol(current);
            int next = table.nextState(current, stream);
            current = other;
            other = next;
            if (stream.left() < 0) {
                weights[count++] = (byte) table.symbol(current);
                return count;
            }
        }
        throw new IOException("zstd Huffman table at offset " + start + " has more than " + MAX_WEIGHTS + " weights");
    }

    /** Unpacks one stream of literals, all of it. */
    void decode(byte[] bytes, int start, int length, byte[] target, int targetStart, int targetEnd) throws IOException {
        BackwardBits stream = new BackwardBits(bytes, start, length);
        for (int i = targetStart; i < targetEnd; i++) {
            int code = stream.peek(width);
            target[i] = symbols[code];
            stream.skip(bits[code]);
        }
        if (stream.left() != 0) {
            throw new IOException("zstd literals at offset " + start + " have " + stream.left() + " bits left over");
        }
    }
}
