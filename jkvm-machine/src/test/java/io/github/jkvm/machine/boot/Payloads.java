package io.github.jkvm.machine.boot;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorOutputStream;
import org.apache.commons.compress.compressors.lz4.BlockLZ4CompressorOutputStream;
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

    static byte[] gzip(byte[] kernel) {
        return pack(kernel, GZIPOutputStream::new);
    }

    static byte[] bzip2(byte[] kernel) {
        return withSize(pack(kernel, BZip2CompressorOutputStream::new), kernel.length);
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
                                target,
                                new org.tukaani.xz.FilterOptions[] {new X86Options(), new LZMA2Options()},
                                XZ.CHECK_CRC32)),
                kernel.length);
    }

    /** Two blocks in a legacy frame. */
    static byte[] lz4(byte[] kernel) {
        byte[] magic = ElfBuilder.number(0x184C2102, 4);
        byte[] first = pack(java.util.Arrays.copyOf(kernel, kernel.length / 2), BlockLZ4CompressorOutputStream::new);
        byte[] second = pack(
                java.util.Arrays.copyOfRange(kernel, kernel.length / 2, kernel.length),
                BlockLZ4CompressorOutputStream::new);
        return withSize(
                BootFixtures.concat(
                        magic, ElfBuilder.number(first.length, 4), first, ElfBuilder.number(second.length, 4), second),
                kernel.length);
    }

    /** A frame of raw blocks that asks for the window of a kernel: 128 MiB (RFC 8878, 3.1.1). */
    static byte[] zstd(byte[] kernel) {
        int blockSize = 100_000;
        byte[] frame = {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD, 0, (byte) 0x88};
        for (int at = 0; at < kernel.length; at += blockSize) {
            byte[] block = java.util.Arrays.copyOfRange(kernel, at, Math.min(kernel.length, at + blockSize));
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
