package io.github.jkvm.machine.boot;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.apache.commons.compress.compressors.lz4.BlockLZ4CompressorInputStream;

/**
 * Unpacks the legacy frame of LZ4 (lz4, doc/lz4_Frame_format.md, "Legacy frame"): a magic number, then blocks, each behind its packed size
 * in four little-endian bytes, to the end of the data.
 */
final class Lz4LegacyInputStream extends InputStream {
    private static final ValueLayout.OfInt WORD = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final byte[] packed;
    /** Where the next block begins; first behind the magic number. */
    private int next = Integer.BYTES;

    private InputStream block = InputStream.nullInputStream();

    Lz4LegacyInputStream(byte[] packed) {
        this.packed = packed;
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        while (true) {
            int count = block.read(target, offset, length);
            if (count > 0) {
                return count;
            }
            if (next == packed.length) {
                return -1;
            }
            block = nextBlock();
        }
    }

    private InputStream nextBlock() throws IOException {
        int start = next + Integer.BYTES;
        int size = start > packed.length ? 0 : MemorySegment.ofArray(packed).get(WORD, next);
        if (size <= 0 || size > packed.length - start) {
            throw new IOException("LZ4 block at offset " + next + " is cut off");
        }
        next = start + size;
        return new BlockLZ4CompressorInputStream(new ByteArrayInputStream(packed, start, size));
    }
}
