package io.github.jkvm.testkit.linux;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import org.tukaani.xz.XZInputStream;

/** A kernel module as it is installed, which may be packed. */
final class ModuleFile {
    private ModuleFile() {}

    /** Returns what the kernel loads: the name says how the file is packed (.ko, .ko.xz, .ko.gz, .ko.zst). */
    static byte[] unpacked(Path file) throws IOException {
        String name = file.toString();
        if (name.endsWith(".zst")) {
            return zstd(file);
        }
        try (InputStream raw = new ByteArrayInputStream(Files.readAllBytes(file));
                InputStream plain = name.endsWith(".xz")
                        ? new XZInputStream(raw)
                        : name.endsWith(".gz") ? new GZIPInputStream(raw) : raw) {
            return plain.readAllBytes();
        }
    }

    /** No Java library is worth a dependency for the few distributions that pack modules so. */
    private static byte[] zstd(Path file) throws IOException {
        Process zstd;
        try {
            zstd = new ProcessBuilder("zstd", "-dc", file.toString()).start();
        } catch (IOException e) {
            throw HostLack.of("no program zstd to unpack " + file + ": apt-get install zstd (" + e.getMessage() + ")");
        }
        byte[] plain = zstd.getInputStream().readAllBytes();
        String complaint = new String(zstd.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
        if (zstd.onExit().join().exitValue() != 0) {
            throw new IOException("zstd can't unpack " + file + ": " + complaint.strip());
        }
        return plain;
    }
}
