package io.github.jkvm.machine.boot;

import io.github.jkvm.machine.boot.unpack.Lz4Decoder;
import io.github.jkvm.machine.boot.unpack.ZstdDecoder;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.GZIPInputStream;
import org.tukaani.xz.LZMAInputStream;
import org.tukaani.xz.SingleXZInputStream;

/**
 * A way in which the kernel inside a bzImage is packed (Linux, lib/decompress.c; the commands are in scripts/Makefile.lib).
 *
 * <p>What the libraries throw at malformed data, checked or not, is the caller's to catch.
 */
enum PayloadFormat {
    /** {@code gzip -9}. */
    GZIP("1f8b") {
        @Override
        byte[] unpack(byte[] packed, int size) throws IOException {
            return readAll(new GZIPInputStream(new ByteArrayInputStream(packed), BUFFER_SIZE), packed.length, size);
        }
    },
    /** {@code lzma -9}: the format before xz. */
    LZMA("5d0000") {
        @Override
        byte[] unpack(byte[] packed, int size) throws IOException {
            InputStream in = new LZMAInputStream(new ByteArrayInputStream(packed), MAX_DICTIONARY_KIB);
            return readAll(in, packed.length, size);
        }
    },
    /** {@code xz --x86 --lzma2=dict=128MiB}. */
    XZ("fd377a585a00") {
        @Override
        byte[] unpack(byte[] packed, int size) throws IOException {
            InputStream in = new SingleXZInputStream(new ByteArrayInputStream(packed), MAX_DICTIONARY_KIB);
            return readAll(in, packed.length, size);
        }
    },
    /** {@code lz4 -l -9}: the legacy frame. */
    LZ4("02214c18") {
        @Override
        byte[] unpack(byte[] packed, int size) throws IOException {
            return Lz4Decoder.decode(packed, size);
        }
    },
    /** {@code zstd -22 --ultra}. */
    ZSTD("28b52ffd") {
        @Override
        byte[] unpack(byte[] packed, int size) throws IOException {
            return ZstdDecoder.decode(packed, size);
        }
    };

    /** How many first bytes tell the formats apart. */
    static final int LONGEST_MAGIC = 6;

    private static final int BUFFER_SIZE = 1 << 16;

    /** The kernel's xz payloads have dictionaries of up to 128 MiB; the decoder needs a little more. */
    private static final int MAX_DICTIONARY_KIB = 160 << 10;

    /** Packed kernels grow about four to eight times: the first guess at the memory to unpack them to. */
    private static final int USUAL_GROWTH = 8;

    /** The first bytes, in hexadecimal. */
    private final String magic;

    PayloadFormat(String magic) {
        this.magic = magic;
    }

    /** Tells whether data begins as this format does. */
    boolean matches(byte[] head) {
        int length = magic.length() / 2;
        return head.length >= length
                && HexFormat.of().formatHex(head, 0, length).equals(magic);
    }

    /**
     * Unpacks data that must have a given size. Memory is taken as data comes, up to that size: a size that is a lie costs little.
     *
     * @throws IOException if the data is malformed, or has another size
     */
    abstract byte[] unpack(byte[] packed, int size) throws IOException;

    private static byte[] readAll(InputStream in, int packedSize, int size) throws IOException {
        byte[] unpacked = new byte[(int) Math.min(size, (long) packedSize * USUAL_GROWTH)];
        int length = 0;
        try (in) {
            while (true) {
                length += in.readNBytes(unpacked, length, unpacked.length - length);
                if (length < unpacked.length) {
                    throw new IOException(
                            "only " + length + " bytes unpacked, where the size at the payload's end is " + size);
                }
                if (length == size) {
                    break;
                }
                unpacked = Arrays.copyOf(unpacked, (int) Math.min(size, 2L * length));
            }
            // Reading on to the end also lets the decoder compare its checksum.
            if (in.read() >= 0) {
                throw new IOException("more bytes unpacked than the size at the payload's end, " + size);
            }
        }
        return unpacked;
    }
}
