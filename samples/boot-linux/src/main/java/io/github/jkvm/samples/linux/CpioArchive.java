package io.github.jkvm.samples.linux;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/**
 * A cpio archive in the format "newc", as Linux unpacks it at boot (Linux, Documentation/driver-api/early-userspace/buffer-format.rst): for
 * each file a header of hexadecimal numbers, the name and the contents, the latter two padded to multiples of four bytes.
 */
final class CpioArchive {
    // File types and permissions: inode(7).
    static final int DIRECTORY = 0040755;
    static final int PROGRAM = 0100755;
    static final int DATA = 0100644;
    static final int CHARACTER_DEVICE = 0020600;

    private static final String MAGIC = "070701";
    private static final String TRAILER = "TRAILER!!!";
    private static final int ALIGNMENT = 4;

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private int inode;

    /**
     * Adds a file or folder, owned by root.
     *
     * @param name its path without a leading slash; the folders above it must have been added
     * @param mode its type and permissions
     * @param contents its contents; empty for a folder
     */
    void add(String name, int mode, byte[] contents) {
        add(name, mode, 0, 0, contents);
    }

    /**
     * Adds a device.
     *
     * @param name its path without a leading slash
     * @param major the device's major number
     * @param minor the device's minor number
     */
    void addCharacterDevice(String name, int major, int minor) {
        add(name, CHARACTER_DEVICE, major, minor, new byte[0]);
    }

    /** Ends the archive and returns it. */
    byte[] finish() {
        add(TRAILER, 0, 0, 0, new byte[0]);
        return bytes.toByteArray();
    }

    private void add(String name, int mode, int major, int minor, byte[] contents) {
        byte[] path = name.getBytes(StandardCharsets.UTF_8);
        // Linux takes entries with the same inode for links to one file.
        int[] fields = {
            ++inode, mode, 0, 0, /* links */ 1, /* mtime */ 0, contents.length, 0, 0, major, minor, path.length + 1, 0
        };
        StringBuilder header = new StringBuilder(MAGIC);
        for (int field : fields) {
            header.append(String.format("%08x", field));
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
