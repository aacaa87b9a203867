package io.github.jkvm.machine.boot.unpack;

import java.io.IOException;
import java.util.Arrays;

/** Unpacks a Zstandard frame (RFC 8878, 3.1.1) without a dictionary, of any window. For one thread. */
public final class ZstdDecoder {
    /** The most bytes that a block unpacks to: 128 KiB (RFC 8878, 3.1.1.2.4). */
    static final int MAX_BLOCK = 128 << 10;

    /** How many bytes are read at once, and so may be read behind the data. */
    static final int PADDING = Long.BYTES;

    /** Bytes before a block: whether it is the last, its type and its size (RFC 8878, 3.1.1.2). */
    static final int BLOCK_HEADER_SIZE = 3;

    static final int RAW = 0;
    static final int RLE = 1;
    static final int COMPRESSED = 2;

    private final byte[] input;
    private final int end;
    private final Output output;
    private int at;

    private ZstdDecoder(byte[] frame, int size) {
        input = Arrays.copyOf(frame, frame.length + PADDING);
        end = frame.length;
        output = new Output(size, frame.length);
    }

    /**
     * Unpacks one frame.
     *
     * @param frame the frame; nothing may follow it
     * @param size how many bytes it must unpack to
     * @return the bytes
     * @throws IOException if the frame is malformed, needs a dictionary, has another size, or its checksum is wrong
     */
    public static byte[] decode(byte[] frame, int size) throws IOException {
        ZstdDecoder decoder = new ZstdDecoder(frame, size);
        try {
            return decoder.decode();
        } catch (IndexOutOfBoundsException e) {
            throw new IOException("zstd frame is cut off or malformed near offset " + decoder.at, e);
        }
    }

    /**
     * Returns how many bytes a frame says that it unpacks to.
     *
     * @param frame the frame
     * @param most the most that are taken
     * @return the number
     * @throws IOException if the frame's header is malformed, does not tell, or tells of more
     */
    public static int contentSize(byte[] frame, int most) throws IOException {
        FrameHeader header = new ZstdDecoder(frame, 0).readHeader();
        long size = header.size();
        if (!header.tellsSize()) {
            throw new IOException("zstd frame does not say how many bytes it unpacks to");
        }
        if (size < 0 || size > most) {
            throw new IOException(
                    "zstd frame says that it unpacks to " + Long.toUnsignedString(size) + " bytes, more than " + most);
        }
        return (int) size;
    }

    private byte[] decode() throws IOException {
        FrameHeader frame = readHeader();
        if (frame.tellsSize() && frame.size() != output.limit()) {
            throw new IOException("zstd frame says that it unpacks to " + Long.toUnsignedString(frame.size())
                    + " bytes, not to the " + output.limit() + " announced");
        }
        Literals literals = new Literals();
        Sequences sequences = new Sequences(output);
        boolean last = false;
        while (!last) {
            int header = (int) take(BLOCK_HEADER_SIZE);
            last = (header & 1) != 0;
            readBlock(header >> 1 & 3, header >>> 3, literals, sequences);
        }
        byte[] unpacked = output.finish();
        if (frame.checksum() && take(Integer.BYTES) != (XxHash64.hash(unpacked) & 0xFFFF_FFFFL)) {
            throw new IOException("zstd frame has a wrong checksum");
        }
        if (at != end) {
            throw new IOException("zstd frame is followed by " + (end - at) + " bytes");
        }
        return unpacked;
    }

    private FrameHeader readHeader() throws IOException {
        if ((int) take(Integer.BYTES) != FrameHeader.MAGIC) {
            throw new IOException("zstd frame does not begin with 28 b5 2f fd");
        }
        // The window's size says how much to keep for matches; here that is always all.
        return FrameHeader.read(this::take);
    }

    private void readBlock(int type, int size, Literals literals, Sequences sequences) throws IOException {
        int start = at;
        if (type == RLE) {
            output.fill((byte) take(1), checkBlock(size));
            return;
        }
        skip(size);
        switch (type) {
            case RAW -> output.copy(input, start, checkBlock(size));
            case COMPRESSED -> {
                int before = output.length();
                int literalsEnd = literals.read(input, start, at);
                sequences.read(input, literalsEnd, at, literals);
                checkBlock(output.length() - before);
            }
            default -> throw new IOException("zstd block at offset " + start + " has the reserved type 3");
        }
    }

    static int checkBlock(int size) throws IOException {
        if (size > MAX_BLOCK) {
            throw new IOException("zstd block has " + size + " bytes; at most " + MAX_BLOCK + " are allowed");
        }
        return size;
    }

    private long take(int count) throws IOException {
        int start = at;
        skip(count);
        return LittleEndian.number(input, start, count);
    }

    private void skip(int count) throws IOException {
        if (count > end - at) {
            throw new IOException("zstd frame is cut off at offset " + end);
        }
        at += count;
    }
}
