package io.github.jkvm.machine.boot;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.List;
import java.util.zip.Deflater;
import java.util.zip.GZIPOutputStream;
import org.tukaani.xz.FilterOptions;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.LZMAOutputStream;
import org.tukaani.xz.X86Options;
import org.tukaani.xz.XZ;
import org.tukaani.xz.XZOutputStream;

/** Packs kernels as the kernel's build does, with the size trailer where it adds one. */
final class Payloads {
    private Payloads() {}

    private interface Packer {
        OutputStream open(OutputStream target) throws IOException;
    }

    private static final class FastGzip extends GZIPOutputStream {
        FastGzip(OutputStream target) throws IOException {
            super(target);
            def.setLevel(Deflater.BEST_SPEED);
        }
    }

    static byte[] gzip(byte[] kernel) {
        return pack(kernel, FastGzip::new);
    }

    static byte[] lzma(byte[] kernel) {
        return withSize(pack(kernel, target -> new LZMAOutputStream(target, new LZMA2Options(), -1)), kernel.length);
    }

    /** As scripts/xz_wrap.sh: the x86 branch filter, then LZMA2, with a CRC32. */
    static byte[] xz(byte[] kernel) {
        return withSize(
                pack(
                        kernel,
                        target -> new XZOutputStream(
                                target, new FilterOptions[] {new X86Options(), new LZMA2Options()}, XZ.CHECK_CRC32)),
                kernel.length);
    }

    /** Two blocks in a legacy frame, each of literals alone: a token of 15, then 255 at a time, then the rest. */
    static byte[] lz4(byte[] kernel) {
        byte[] frame = ElfBuilder.number(0x184C2102, 4);
        int half = kernel.length / 2;
        for (byte[] part : List.of(Arrays.copyOf(kernel, half), Arrays.copyOfRange(kernel, half, kernel.length))) {
            int more = part.length - 15;
            byte[] lengths = new byte[1 + more / 255 + 1];
            Arrays.fill(lengths, (byte) 255);
            lengths[0] = (byte) 0xF0;
            lengths[lengths.length - 1] = (byte) (more % 255);
            frame = BootFixtures.concat(frame, ElfBuilder.number(lengths.length + part.length, 4), lengths, part);
        }
        return withSize(frame, kernel.length);
    }

    /** A frame of raw blocks that asks for the window of a kernel: 128 MiB (RFC 8878, 3.1.1). */
    static byte[] zstd(byte[] kernel) {
        int blockSize = 100_000;
        byte[] frame = {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD, 0, (byte) 0x88};
        for (int at = 0; at < kernel.length; at += blockSize) {
            byte[] block = Arrays.copyOfRange(kernel, at, Math.min(kernel.length, at + blockSize));
            long last = at + blockSize >= kernel.length ? 1 : 0;
            frame = BootFixtures.concat(frame, ElfBuilder.number((long) block.length << 3 | last, 3), block);
        }
        return withSize(frame, kernel.length);
    }

    static byte[] withSize(byte[] packed, long size) {
        return BootFixtures.concat(packed, ElfBuilder.number(size, 4));
    }

    private static byte[] pack(byte[] kernel, Packer packer) {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (OutputStream out = packer.open(packed)) {
            out.write(kernel);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return packed.toByteArray();
    }
}
