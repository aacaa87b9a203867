package io.github.jkvm.machine.linux;

import io.github.jkvm.machine.boot.unpack.ZstdDecoder;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import org.tukaani.xz.XZInputStream;

/** A kernel module as it is installed, which may be packed. */
final class ModuleFile {
    /** More than any module has. */
    private static final int MOST = 256 << 20;

    private ModuleFile() {}

    /** Returns what the kernel loads: the name says how the file is packed (.ko, .ko.xz, .ko.gz, .ko.zst). */
    static byte[] unpacked(Path file) throws IOException {
        String name = file.toString();
        byte[] packed = Files.readAllBytes(file);
        try {
            if (name.endsWith(".zst")) {
                return ZstdDecoder.decode(packed, ZstdDecoder.contentSize(packed, MOST));
            }
            try (InputStream raw = new ByteArrayInputStream(packed);
                    InputStream plain = name.endsWith(".xz")
                            ? new XZInputStream(raw)
                            : name.endsWith(".gz") ? new GZIPInputStream(raw) : raw) {
                return plain.readAllBytes();
            }
        } catch (IOException e) {
            throw new IOException("the module " + file + " can't be unpacked: " + e.getMessage(), e);
        }
    }
}
