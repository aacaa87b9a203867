package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;

/** The sequences of a block: literals to copy and matches to repeat (RFC 8878, 3.1.1.3.2 and 3.1.1.4). Remembers tables and offsets. */
final class Sequences {
    private static final int[] LITERAL_BASES = {
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512,
        1024, 2048, 4096, 8192, 16384, 32768, 65536
    };
    private static final int[] LITERAL_BITS = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        16
    };
    private static final int[] MATCH_BASES = {
        3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
        33, 34, 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539
    };
    private static final int[] MATCH_BITS = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2,
        2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
    };

    /** A first byte of the count from here on means that one more follows, and the last that two do. */
    private static final int TWO_BYTE_COUNT = 128;

    private static final int THREE_BYTE_COUNT = 255;
    private static final int THREE_BYTE_BASE = 0x7F00;

    private final SequenceCodes literalLengths = SequenceCodes.literalLengths();
    private final SequenceCodes matchLengths = SequenceCodes.matchLengths();
    private final SequenceCodes offsets = SequenceCodes.offsets();
    private final Output output;
    /** The last three offsets (RFC 8878, 3.1.1.5). */
    private int recent = 1;

    private int older = 4;
    private int oldest = 8;

    Sequences(Output output) {
        this.output = output;
    }

    /** Reads the section that ends a block and puts out the block. */
    void read(byte[] input, int start, int end, Literals literals) throws IOException {
        if (start >= end) {
            throw new IOException("zstd block has no sequences at offset " + start);
        }
        int at = start + 1;
        int count = Byte.toUnsignedInt(input[start]);
        if (count == THREE_BYTE_COUNT) {
            count = THREE_BYTE_BASE + (int) LittleEndian.number(input, at, 2);
            at += 2;
        } else if (count >= TWO_BYTE_COUNT) {
            count = ((count - TWO_BYTE_COUNT) << Byte.SIZE) + Byte.toUnsignedInt(input[at]);
            at++;
        }
        int used = 0;
        if (count > 0) {
            int modes = Byte.toUnsignedInt(input[at++]);
            if ((modes & 3) != 0) {
                throw new IOException("zstd block has reserved bits in its sequence modes at offset " + (at - 1));
            }
            at = literalLengths.read(modes >> 6, input, at, end);
            at = offsets.read(modes >> 4 & 3, input, at, end);
            at = matchLengths.read(modes >> 2 & 3, input, at, end);
            used = execute(count, new BackwardBits(input, at, end - at), literals);
        } else if (at != end) {
            throw new IOException("zstd block goes on at offset " + at + " after its last sequence");
        }
        output.copy(literals.bytes(), used, literals.count() - used);
    }

    private int execute(int count, BackwardBits stream, Literals literals) throws IOException {
        FseTable literalTable = literalLengths.table();
        FseTable offsetTable = offsets.table();
        FseTable matchTable = matchLengths.table();
        int literalState = literalTable.firstState(stream);
        int offsetState = offsetTable.firstState(stream);
        int matchState = matchTable.firstState(stream);
        int used = 0;
        for (int i = 0; i < count; i++) {
            int offsetCode = offsetTable.symbol(offsetState);
            // Up to 31 bits on top of 2^31: as a number without a sign.
            long offsetValue = (1L << offsetCode) + Integer.toUnsignedLong(stream.read(offsetCode));
            int matchCode = matchTable.symbol(matchState);
            int matchLength = MATCH_BASES[matchCode] + stream.read(MATCH_BITS[matchCode]);
            int literalCode = literalTable.symbol(literalState);
            int literalLength = LITERAL_BASES[literalCode] + stream.read(LITERAL_BITS[literalCode]);
            if (literalLength > literals.count() - used) {
                throw new IOException("zstd sequence copies " + literalLength + " literals where "
                        + (literals.count() - used) + " are left");
            }
            output.copy(literals.bytes(), used, literalLength);
            used += literalLength;
            output.repeat(offset(offsetValue, literalLength), matchLength);
            if (i < count - 1) {
                literalState = literalTable.nextState(literalState, stream);
                matchState = matchTable.nextState(matchState, stream);
                offsetState = offsetTable.nextState(offsetState, stream);
            }
        }
        if (stream.left() != 0) {
            throw new IOException("zstd sequences have " + stream.left() + " bits left over");
        }
        return used;
    }

    /** Turns an offset value into an offset: 1 to 3 name one of the last offsets, more is the offset plus 3 (3.1.1.5). */
    private int offset(long value, int literalLength) throws IOException {
        int offset;
        // Without literals the most recent offset makes no sense, so that the names are shifted by one.
        long name = literalLength == 0 ? value + 1 : value;
        if (value > 3) {
            offset = (int) Math.min(value - 3, Integer.MAX_VALUE);
        } else if (name == 1) {
            return recent;
        } else if (name == 2) {
            offset = older;
            older = recent;
            recent = offset;
            return offset;
        } else if (name == 3) {
            offset = oldest;
        } else {
            offset = recent - 1;
        }
        if (offset == 0) {
            throw new IOException("zstd sequence has offset 0");
        }
        oldest = older;
        older = recent;
        recent = offset;
        return offset;
    }
}
