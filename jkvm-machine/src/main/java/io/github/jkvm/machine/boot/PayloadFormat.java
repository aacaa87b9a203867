package io.github.jkvm.machine.boot;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorInputStream;
import org.tukaani.xz.LZMAInputStream;
import org.tukaani.xz.SingleXZInputStream;

/**
 * A way in which the kernel inside a bzImage is packed (Linux, lib/decompress.c; the commands are in scripts/Makefile.lib).
 *
 * <p>Each is unpacked by a library; what those throw at malformed data, checked or not, is the caller's to catch.
 */
enum PayloadFormat {
    /** {@code gzip -9}. */
    GZIP("1f8b") {
        @Override
        InputStream open(byte[] packed) throws IOException {
            return new GZIPInputStream(new ByteArrayInputStream(packed), BUFFER_SIZE);
        }
    },
    /** {@code bzip2 -9}. */
    BZIP2("425a68") {
        @Override
        InputStream open(byte[] packed) throws IOException {
            return new BZip2CompressorInputStream(new ByteArrayInputStream(packed));
        }
    },
    /** {@code lzma -9}: the format before xz. */
    LZMA("5d0000") {
        @Override
        InputStream open(byte[] packed) throws IOException {
            return new LZMAInputStream(new ByteArrayInputStream(packed), MAX_DICTIONARY_KIB);
        }
    },
    /** {@code xz --x86 --lzma2=dict=128MiB}. */
    XZ("fd377a585a00") {
        @Override
        InputStream open(byte[] packed) throws IOException {
            return new SingleXZInputStream(new ByteArrayInputStream(packed), MAX_DICTIONARY_KIB);
        }
    },
    /** {@code lz4 -l -9}: the legacy frame. */
    LZ4("02214c18") {
        @Override
        InputStream open(byte[] packed) {
            return new Lz4LegacyInputStream(packed);
        }
    };

    private static final int BUFFER_SIZE = 1 << 16;

    /** The kernel's xz payloads have dictionaries of up to 128 MiB; the decoder needs a little more. */
    private static final int MAX_DICTIONARY_KIB = 160 << 10;

    /** Packed kernels grow about four to seven times: the first guess at the memory to unpack them to. */
    private static final int USUAL_GROWTH = 8;

    /** The first bytes, in hexadecimal. */
    private final String magic;

    PayloadFormat(String magic) {
        this.magic = magic;
    }

    /** Tells whether data begins as this format does. */
    boolean matches(byte[] packed) {
        int length = magic.length() / 2;
        return packed.length >= length
                && HexFormat.of().formatHex(packed, 0, length).equals(magic);
    }

    /** Returns the data as a stream that unpacks. */
    abstract InputStream open(byte[] packed) throws IOException;

    /**
     * Unpacks data that must have a given size. Memory is taken as data comes, up to that size: a size that is a lie costs little.
     *
     * @throws IOException if the data is malformed, or has another size
     */
    byte[] unpack(byte[] packed, int size) throws IOException {
        byte[] unpacked = new byte[(int) Math.min(size, (long) packed.length * USUAL_GROWTH)];
        int length = 0;
        try (InputStream in = open(packed)) {
            while (true) {
                int count = in.readNBytes(unpacked, length, unpacked.length - length);
                length += count;
                if (length < unpacked.length) {
                    break;
                }
                if (length == size) {
                    // Reading on to the end lets the decoder compare its checksum.
                    checkSize(in.read() < 0 ? length : length + 1L, size);
                    break;
                }
                unpacked = Arrays.copyOf(unpacked, (int) Math.min(size, 2L * length));
            }
        }
        checkSize(length, size);
        return unpacked;
    }

    private static void checkSize(long length, int size) throws IOException {
        if (length != size) {
            throw new IOException((length > size ? "more than " + size : "only " + length)
                    + " bytes unpacked, where the size at the payload's end is " + size);
        }
    }
}
