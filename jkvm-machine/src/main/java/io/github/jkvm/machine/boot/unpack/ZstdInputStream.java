package io.github.jkvm.machine.boot.unpack;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/**
 * Unpacks Zstandard frames, one after the other, as they are read (RFC 8878, 3.1), and skips what is skippable. Takes memory for twice the window of a frame,
 * as far as it is used. For one thread.
 */
public final class ZstdInputStream extends InputStream {
    private static final int SKIPPABLE = 0x184D_2A50;
    private static final int SKIPPABLE_MASK = 0xFFFF_FFF0;

    private final InputStream in;
    private final int maxWindow;
    private final byte[] block = new byte[ZstdDecoder.MAX_BLOCK + ZstdDecoder.PADDING];
    private @Nullable Frame frame;

    /** A frame that is being unpacked. */
    private static final class Frame {
        final FrameHeader header;
        final Output output;
        final Literals literals = new Literals();
        final Sequences sequences;
        final XxHash64 hash = new XxHash64();
        boolean ended;
        long total;
        int served;

        Frame(FrameHeader header) {
            this.header = header;
            output = Output.ofWindow((int) header.window());
            sequences = new Sequences(output);
        }
    }

    /**
     * Begins to read.
     *
     * @param in the packed bytes, up to their end; not closed by this
     * @param maxWindow the largest window that a frame may need, in bytes, up to 2^29
     * @throws IllegalArgumentException if the window is out of its range
     */
    public ZstdInputStream(InputStream in, int maxWindow) {
        if (maxWindow < 1 || maxWindow > 1 << 29) {
            throw new IllegalArgumentException("a window of " + maxWindow + " bytes makes no sense; give 1 to 2^29");
        }
        this.in = in;
        this.maxWindow = maxWindow;
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] bytes, int from, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        while (true) {
            Frame current = frame;
            if (current != null && current.served < current.output.length()) {
                int count = Math.min(length, current.output.length() - current.served);
                current.output.get(current.served, bytes, from, count);
                current.served += count;
                return count;
            }
            if (current == null || current.ended) {
                frame = nextFrame();
                if (frame == null) {
                    return -1;
                }
            } else {
                readBlock(current);
            }
        }
    }

    private @Nullable Frame nextFrame() throws IOException {
        while (true) {
            byte[] magic = in.readNBytes(Integer.BYTES);
            if (magic.length == 0) {
                return null;
            }
            if (magic.length < Integer.BYTES) {
                throw cutOff();
            }
            int number = (int) LittleEndian.number(magic, 0, Integer.BYTES);
            if ((number & SKIPPABLE_MASK) == SKIPPABLE) {
                pass(take(Integer.BYTES));
                continue;
            }
            if (number != FrameHeader.MAGIC) {
                throw new IOException("zstd frame does not begin with 28 b5 2f fd");
            }
            FrameHeader header = FrameHeader.read(this::take);
            if (Long.compareUnsigned(header.window(), maxWindow) > 0) {
                throw new IOException("zstd frame needs a window of " + Long.toUnsignedString(header.window())
                        + " bytes; at most " + maxWindow + " are given");
            }
            return new Frame(header);
        }
    }

    private void readBlock(Frame current) throws IOException {
        Output output = current.output;
        current.served -= output.slide();
        int before = output.length();
        int header = (int) take(ZstdDecoder.BLOCK_HEADER_SIZE);
        int type = (header >> 1) & 3;
        int size = header >>> 3;
        try {
            if (type == ZstdDecoder.RLE) {
                output.fill((byte) take(1), ZstdDecoder.checkBlock(size));
            } else {
                fill(ZstdDecoder.checkBlock(size));
                switch (type) {
                    case ZstdDecoder.RAW -> output.copy(block, 0, size);
                    case ZstdDecoder.COMPRESSED -> {
                        int literalsEnd = current.literals.read(block, 0, size);
                        current.sequences.read(block, literalsEnd, size, current.literals);
                        ZstdDecoder.checkBlock(output.length() - before);
                    }
                    default -> throw new IOException("zstd block has the reserved type 3");
                }
            }
        } catch (IndexOutOfBoundsException e) {
            throw new IOException("zstd block is malformed", e);
        }
        output.hash(before, current.hash);
        current.total += output.length() - before;
        if ((header & 1) != 0) {
            end(current);
        }
    }

    private void end(Frame current) throws IOException {
        if (current.header.tellsSize() && current.header.size() != current.total) {
            throw new IOException("zstd frame says that it unpacks to " + Long.toUnsignedString(current.header.size())
                    + " bytes, and unpacks to " + current.total);
        }
        if (current.header.checksum() && take(Integer.BYTES) != (current.hash.value() & 0xFFFF_FFFFL)) {
            throw new IOException("zstd frame has a wrong checksum");
        }
        current.ended = true;
    }

    private long take(int count) throws IOException {
        byte[] bytes = new byte[count];
        if (in.readNBytes(bytes, 0, count) < count) {
            throw cutOff();
        }
        return LittleEndian.number(bytes, 0, count);
    }

    private void fill(int count) throws IOException {
        if (in.readNBytes(block, 0, count) < count) {
            throw cutOff();
        }
    }

    /** Reads over what is skippable: its bytes may be counted, or hashed, by who gives them. */
    private void pass(long count) throws IOException {
        for (long left = count; left > 0; ) {
            int part = (int) Math.min(left, ZstdDecoder.MAX_BLOCK);
            fill(part);
            left -= part;
        }
    }

    private static EOFException cutOff() {
        return new EOFException("zstd frame is cut off");
    }
}
