package io.github.jkvm.machine.linux;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/**
 * A cpio archive in the format "newc", as Linux unpacks it at boot (Linux, Documentation/driver-api/early-userspace/buffer-format.rst): for
 * each file a header of hexadecimal numbers, the name and the contents, the latter two padded to multiples of four bytes.
 */
final class CpioArchive {
    private static final String MAGIC = "070701";
    private static final String TRAILER = "TRAILER!!!";
    private static final int ALIGNMENT = 4;

    private final ByteArrayOutputStream bytes;
    private int inode;

    /**
     * Creates an empty archive.
     *
     * @param size how many bytes it will have, about
     */
    CpioArchive(int size) {
        bytes = new ByteArrayOutputStream(size);
    }

    /** Ends the archive and returns it. */
    byte[] finish() {
        add(TRAILER, 0, 0, 0, new byte[0]);
        return bytes.toByteArray();
    }

    /**
     * Adds a file, folder, link or device, owned by root.
     *
     * @param name its path without a leading slash; the folders above it must have been added
     * @param mode its type and permissions
     * @param major a device's major number, or 0
     * @param minor a device's minor number, or 0
     * @param contents its contents, or where a link leads
     */
    void add(String name, int mode, int major, int minor, byte[] contents) {
        byte[] path = name.getBytes(StandardCharsets.UTF_8);
        // Linux takes entries with the same inode for links to one file.
        int[] fields = {
            ++inode, mode, 0, 0, /* links */ 1, /* mtime */ 0, contents.length, 0, 0, major, minor, path.length + 1, 0
        };
        var header = new StringBuilder(MAGIC);
        for (int field : fields) {
            header.append(HexFormat.of().toHexDigits(field));
        }
        bytes.writeBytes(header.toString().getBytes(StandardCharsets.US_ASCII));
        bytes.writeBytes(path);
        bytes.write(0);
        pad();
        bytes.writeBytes(contents);
        pad();
    }

    private void pad() {
        while (bytes.size() % ALIGNMENT != 0) {
            bytes.write(0);
        }
    }
}
