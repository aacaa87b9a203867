package io.github.jkvm.testkit.linux;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
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
    private static final int MODES = 0177777;

    /** The last file, by which a guest knows that it has all. */
    private static final String COMPLETE = "complete";

    /** At least what a file's header takes, with what fills up the blocks. */
    private static final int HEADER = 128;

    private static final long MOST = 1L << 30;

    /** Names with slashes between them, none of which is empty, "." or "..". */
    private static final Pattern PATH = Pattern.compile("((?!\\.{1,2}(/|$))[^/\\x00]+(/(?=.)|$))+");

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

    /** Returns other files, which begin as these. */
    RootFiles copy() {
        var copy = new RootFiles();
        copy.entries.putAll(entries);
        return copy;
    }

    /** Adds an empty folder, if there is nothing of its name. */
    void folder(String path) {
        if (!entries.containsKey(relative(path))) {
            put(path, new Entry(FOLDER, new byte[0]));
        }
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

    /** Adds a file of the host, with its permissions. */
    void copy(String path, Path file) throws IOException {
        int mode = (int) Files.getAttribute(file, "unix:mode");
        put(path, new Entry(mode & MODES, Files.readAllBytes(file)));
    }

    /** Adds a symbolic link. */
    void link(String path, String target) {
        put(path, new Entry(LINK, target.getBytes(StandardCharsets.UTF_8)));
    }

    private void put(String path, Entry entry) {
        String name = relative(path);
        int slash = name.lastIndexOf('/');
        if (slash > 0) {
            folder(name.substring(0, slash));
        }
        entries.put(name, entry);
    }

    private static String relative(String path) {
        String name = path.startsWith("/") ? path.substring(1) : path;
        if (!PATH.matcher(name).matches()) {
            throw new IllegalArgumentException("'" + path
                    + "' names no file in the guest; give an absolute path without '.', '..' and double slashes");
        }
        return name.startsWith("lib/") || name.startsWith("lib64/") ? "usr/" + name : name;
    }

    /** Returns the archive, in cpio's format "newc". */
    byte[] archive() throws IOException {
        link("lib", "usr/lib");
        link("lib64", "usr/lib64");
        long size = entries.entrySet().stream()
                .mapToLong(entry ->
                        entry.getValue().contents.length + 2L * entry.getKey().length() + HEADER)
                .sum();
        if (size > MOST) {
            throw new IllegalArgumentException("the guest's files have " + size + " bytes together, and at most " + MOST
                    + " can be there at the boot; give it the rest with LinuxMachine.copyIn or on a disk");
        }
        var bytes = new ByteArrayOutputStream((int) size);
        try (var archive =
                new CpioArchiveOutputStream(bytes, CpioConstants.FORMAT_NEW, CpioConstants.BLOCK_SIZE, "UTF-8")) {
            for (Map.Entry<String, Entry> file : entries.entrySet()) {
                byte[] contents = file.getValue().contents;
                var entry = new CpioArchiveEntry(CpioConstants.FORMAT_NEW, file.getKey(), contents.length);
                entry.setMode(file.getValue().mode);
                archive.putArchiveEntry(entry);
                archive.write(contents);
                archive.closeArchiveEntry();
            }
            // The kernel goes on with what it could unpack; process 1 looks for what comes last.
            var last = new CpioArchiveEntry(CpioConstants.FORMAT_NEW, COMPLETE, 0);
            last.setMode(DATA);
            archive.putArchiveEntry(last);
            archive.closeArchiveEntry();
        }
        return bytes.toByteArray();
    }
}
