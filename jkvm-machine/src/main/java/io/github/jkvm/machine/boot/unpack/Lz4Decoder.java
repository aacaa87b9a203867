package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;

/**
 * Unpacks the legacy frame of LZ4 (lz4, doc/lz4_Frame_format.md, "Legacy frame", and doc/lz4_Block_format.md): a magic number, then blocks,
 * each behind its packed size in four bytes, to the end of the data. For one thread.
 */
public final class Lz4Decoder {
    private static final int MAGIC = 0x184C_2102;
    private static final int WORD = Integer.BYTES;
    /** The most bytes that a block of a legacy frame unpacks to: 8 MiB. */
    private static final int MAX_BLOCK = 8 << 20;

    /** The shortest match; the length in a token counts from here. */
    private static final int MIN_MATCH = 4;
    /** A length of 15 in a token goes on in the bytes behind it, each of which adds to it until one is below 255. */
    private static final int LONG_LENGTH = 15;

    private static final int GO_ON = 255;

    private final byte[] input;
    private final Output output;
    private int at;

    private Lz4Decoder(byte[] frame, int size) {
        input = frame;
        output = new Output(size, frame.length);
    }

    /**
     * Unpacks one frame.
     *
     * @param frame the frame; nothing may follow it
     * @param size how many bytes it must unpack to
     * @return the bytes
     * @throws IOException if the frame is malformed or has another size
     */
    public static byte[] decode(byte[] frame, int size) throws IOException {
        Lz4Decoder decoder = new Lz4Decoder(frame, size);
        try {
            return decoder.decode();
        } catch (IndexOutOfBoundsException e) {
            throw new IOException("LZ4 frame is cut off or malformed near offset " + decoder.at, e);
        }
    }

    private byte[] decode() throws IOException {
        if (word() != MAGIC) {
            throw new IOException("LZ4 legacy frame does not begin with 02 21 4c 18");
        }
        while (at < input.length) {
            int size = word();
            if (size <= 0 || size > input.length - at) {
                throw new IOException("LZ4 block at offset " + at + " has size " + Integer.toUnsignedString(size)
                        + ", of which " + (input.length - at) + " bytes are there");
            }
            readBlock(at + size);
        }
        return output.finish();
    }

    private int word() {
        int value = (int) LittleEndian.number(input, at, WORD);
        at += WORD;
        return value;
    }

    private void readBlock(int end) throws IOException {
        int blockStart = output.length();
        while (true) {
            int token = Byte.toUnsignedInt(input[at++]);
            int literals = length(token >> 4);
            if (literals > end - at) {
                throw new IOException("LZ4 literals at offset " + at + " pass the end of their block");
            }
            output.copy(input, at, literals);
            at += literals;
            if (at == end) {
                // A block ends with literals.
                break;
            }
            int distance = (int) LittleEndian.number(input, at, Short.BYTES);
            at += Short.BYTES;
            int match = length(token & 0xF) + MIN_MATCH;
            if (at > end || distance > output.length() - blockStart) {
                throw new IOException("LZ4 match at offset " + at + " reaches out of its block");
            }
            output.repeat(distance, match);
        }
        if (output.length() - blockStart > MAX_BLOCK) {
            throw new IOException("LZ4 block before offset " + at + " unpacks to more than " + MAX_BLOCK + " bytes");
        }
    }

    private int length(int inToken) throws IOException {
        int length = inToken;
        int more = inToken == LONG_LENGTH ? GO_ON : 0;
        while (more == GO_ON) {
            more = Byte.toUnsignedInt(input[at++]);
            length += more;
            if (length > MAX_BLOCK) {
                throw new IOException("LZ4 length before offset " + at + " is above " + MAX_BLOCK);
            }
        }
        return length;
    }
}
