package io.github.jkvm.it.linux;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import org.apache.commons.compress.archivers.cpio.CpioArchiveEntry;
import org.apache.commons.compress.archivers.cpio.CpioArchiveOutputStream;
import org.apache.commons.compress.archivers.cpio.CpioConstants;

/**
 * The files of a guest, to be unpacked by its kernel at boot (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). Not
 * compressed: that would cost an emulated processor more than it saves.
 */
final class RootFiles {
    // File types and permissions: inode(7).
    private static final int FOLDER = 0040755;
    private static final int PROGRAM = 0100755;
    private static final int DATA = 0100644;
    private static final int LINK = 0120777;

    private static final class Entry {
        final int mode;
        final byte[] contents;

        Entry(int mode, byte[] contents) {
            this.mode = mode;
            this.contents = contents;
        }
    }

    /** By path without the leading slash; a folder sorts before what is in it. */
    private final Map<String, Entry> entries = new TreeMap<>();

    /** Adds an empty folder. */
    void folder(String path) {
        put(path, new Entry(FOLDER, new byte[0]));
    }

    /** Adds a file to read. */
    void data(String path, byte[] contents) {
        put(path, new Entry(DATA, contents));
    }

    /** Adds a text to read. */
    void data(String path, String contents) {
        data(path, contents.getBytes(StandardCharsets.UTF_8));
    }

    /** Adds a file to run. */
    void program(String path, byte[] contents) {
        put(path, new Entry(PROGRAM, contents));
    }

    /** Adds a symbolic link. */
    void link(String path, String target) {
        put(path, new Entry(LINK, target.getBytes(StandardCharsets.UTF_8)));
    }

    /** Tells whether something was added under this name. */
    boolean contains(String path) {
        return entries.containsKey(relative(path));
    }

    private void put(String path, Entry entry) {
        String name = relative(path);
        int slash = name.lastIndexOf('/');
        if (slash > 0 && !entries.containsKey(name.substring(0, slash))) {
            folder(name.substring(0, slash));
        }
        entries.put(name, entry);
    }

    private static String relative(String path) {
        String name = path.startsWith("/") ? path.substring(1) : path;
        return name.startsWith("lib/") || name.startsWith("lib64/") ? "usr/" + name : name;
    }

    /** Returns the archive, in cpio's format "newc". */
    byte[] archive() throws IOException {
        link("lib", "usr/lib");
        link("lib64", "usr/lib64");
        int size = entries.values().stream()
                .mapToInt(entry -> entry.contents.length + 256)
                .sum();
        var bytes = new ByteArrayOutputStream(size);
        try (var archive = new CpioArchiveOutputStream(bytes, CpioConstants.FORMAT_NEW)) {
            for (Map.Entry<String, Entry> file : entries.entrySet()) {
                byte[] contents = file.getValue().contents;
                var entry = new CpioArchiveEntry(CpioConstants.FORMAT_NEW, file.getKey(), contents.length);
                entry.setMode(file.getValue().mode);
                archive.putArchiveEntry(entry);
                archive.write(contents);
                archive.closeArchiveEntry();
            }
        }
        return bytes.toByteArray();
    }
}
