package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The literals of a block (RFC 8878, 3.1.1.3.1); remembers the last Huffman table for blocks that use it again. */
final class Literals {
    private static final int RAW = 0;
    private static final int RLE = 1;
    private static final int COMPRESSED = 2;
    /** The sizes of the first three of four streams, in two bytes each. */
    private static final int JUMP_TABLE_SIZE = 6;

    private final byte[] bytes = new byte[ZstdDecoder.MAX_BLOCK];
    private int count;
    private @Nullable HuffmanTable table;

    /** The literals of the last block, from 0 to {@link #count}. */
    byte[] bytes() {
        return bytes;
    }

    int count() {
        return count;
    }

    /** Reads the section at the start of a block. Returns where it ends. */
    int read(byte[] input, int start, int end) throws IOException {
        if (start >= end) {
            throw new IOException("zstd block at offset " + start + " is empty");
        }
        int type = input[start] & 3;
        return type == RAW || type == RLE ? readPlain(input, start, end, type) : readPacked(input, start, end, type);
    }

    private int readPlain(byte[] input, int start, int end, int type) throws IOException {
        int format = input[start] >> 2 & 3;
        // One bit says that there is one byte of header, two say how many more.
        int headerSize = (format & 1) == 0 ? 1 : format == 1 ? 2 : 3;
        int header = (int) LittleEndian.number(input, start, headerSize);
        setCount(headerSize == 1 ? header >>> 3 : header >>> 4, start);
        int from = start + headerSize;
        int size = type == RAW ? count : 1;
        checkEnd(from + size, end, start);
        if (type == RAW) {
            System.arraycopy(input, from, bytes, 0, count);
        } else {
            Arrays.fill(bytes, 0, count, input[from]);
        }
        return from + size;
    }

    private int readPacked(byte[] input, int start, int end, int type) throws IOException {
        int format = input[start] >> 2 & 3;
        int headerSize = format < 2 ? 3 : format + 2;
        int sizeBits = format < 2 ? 10 : format == 2 ? 14 : 18;
        long header = LittleEndian.number(input, start, headerSize) >>> 4;
        int mask = (1 << sizeBits) - 1;
        setCount((int) header & mask, start);
        int at = start + headerSize;
        int to = at + ((int) (header >>> sizeBits) & mask);
        checkEnd(to, end, start);
        HuffmanTable huffman = table;
        if (type == COMPRESSED) {
            HuffmanTable.Read description = HuffmanTable.read(input, at, to);
            huffman = description.table();
            table = huffman;
            at = description.end();
        }
        if (huffman == null) {
            throw new IOException("zstd literals at offset " + start + " use a Huffman table that was not given");
        }
        if (format == 0) {
            huffman.decode(input, at, to - at, bytes, 0, count);
        } else {
            readFourStreams(huffman, input, at, to);
        }
        return to;
    }

    private void readFourStreams(HuffmanTable huffman, byte[] input, int start, int end) throws IOException {
        checkEnd(start + JUMP_TABLE_SIZE, end, start);
        int share = (count + 3) / 4;
        int at = start + JUMP_TABLE_SIZE;
        for (int i = 0; i < 4; i++) {
            int to = i == 3 ? end : at + (int) LittleEndian.number(input, start + 2 * i, 2);
            checkEnd(to, end, start);
            int targetEnd = i == 3 ? count : Math.min(count, (i + 1) * share);
            huffman.decode(input, at, to - at, bytes, Math.min(count, i * share), targetEnd);
            at = to;
        }
    }

    private void setCount(int value, int start) throws IOException {
        if (value > bytes.length) {
            throw new IOException("zstd block at offset " + start + " has " + value + " literals; a block has at most "
                    + bytes.length);
        }
        count = value;
    }

    private static void checkEnd(int to, int end, int start) throws IOException {
        if (to > end) {
            throw new IOException("zstd literals at offset " + start + " pass the end of their block");
        }
    }
}
