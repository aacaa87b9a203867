package io.github.jkvm.machine.linux;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * The files of a guest, to be unpacked by its kernel at boot (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). All belong to root.
 * {@code /lib} and {@code /lib64} are links to folders below {@code /usr}. Not compressed: that would cost an emulated processor more than it saves.
 *
 * <p>For one thread.
 */
public final class Initramfs {
    /** Where the guest finds an empty file if its kernel could unpack all: the kernel goes on with what it could. */
    public static final String COMPLETE = "/complete";

    // File types and permissions: inode(7).
    private static final int FOLDER = 0040755;
    private static final int PROGRAM = 0100755;
    private static final int DATA = 0100644;
    private static final int LINK = 0120777;
    private static final int CHARACTER_DEVICE = 0020600;
    private static final int MODES = 0177777;

    /** At least what a file's header takes, with what fills up the blocks. */
    private static final int HEADER = 128;

    private static final long MOST = 1L << 30;

    /** Names with slashes between them, none of which is empty, "." or "..". */
    private static final Pattern PATH = Pattern.compile("((?!\\.{1,2}(/|$))[^/\\x00]+(/(?=.)|$))+");

    private record Entry(int mode, int major, int minor, Contents contents) {
        Entry(int mode, byte... contents) {
            this(mode, 0, 0, new Contents(contents));
        }
    }

    /** Bytes that are not compared. */
    private static final class Contents {
        final byte[] bytes;

        Contents(byte... bytes) {
            this.bytes = bytes;
        }
    }

    /** By path without the leading slash; a folder sorts before what is in it. */
    private final Map<String, Entry> entries = new TreeMap<>();

    /** Creates an archive without files. */
    public Initramfs() {}

    /**
     * Returns other files, which begin as these.
     *
     * @return a copy
     */
    public Initramfs copy() {
        var copy = new Initramfs();
        copy.entries.putAll(entries);
        return copy;
    }

    /**
     * Adds an empty folder, if there is nothing of its name.
     *
     * @param path its absolute path, as for all that is added; the folders above it are made
     * @return this
     * @throws IllegalArgumentException if the path is not a plain one, as in all methods that take one
     */
    public Initramfs folder(String path) {
        return entries.containsKey(relative(path)) ? this : put(path, new Entry(FOLDER));
    }

    /**
     * Adds a file to read.
     *
     * @param path its absolute path
     * @param contents what is in it; not to be changed afterwards
     * @return this
     */
    public Initramfs data(String path, byte[] contents) {
        return put(path, new Entry(DATA, contents));
    }

    /**
     * Adds a text to read.
     *
     * @param path its absolute path
     * @param contents what is in it, which becomes UTF-8
     * @return this
     */
    public Initramfs data(String path, String contents) {
        return data(path, contents.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * Adds a file to run.
     *
     * @param path its absolute path
     * @param contents what is in it; not to be changed afterwards
     * @return this
     */
    public Initramfs program(String path, byte[] contents) {
        return put(path, new Entry(PROGRAM, contents));
    }

    /**
     * Adds a file of the host, with its permissions.
     *
     * @param path its absolute path
     * @param file of the host, read now
     * @return this
     * @throws IOException if it can't be read
     */
    public Initramfs copy(String path, Path file) throws IOException {
        int mode = (int) Files.getAttribute(file, "unix:mode");
        return put(path, new Entry(mode & MODES, Files.readAllBytes(file)));
    }

    /**
     * Adds a symbolic link.
     *
     * @param path its absolute path
     * @param target where it leads
     * @return this
     */
    public Initramfs link(String path, String target) {
        return put(path, new Entry(LINK, target.getBytes(StandardCharsets.UTF_8)));
    }

    /**
     * Adds a character device that root may use, such as {@code /dev/console}, 5:1 (Linux, Documentation/admin-guide/devices.txt).
     *
     * @param path its absolute path
     * @param major the device's major number
     * @param minor the device's minor number
     * @return this
     */
    public Initramfs characterDevice(String path, int major, int minor) {
        return put(path, new Entry(CHARACTER_DEVICE, major, minor, new Contents()));
    }

    private Initramfs put(String path, Entry entry) {
        String name = relative(path);
        int slash = name.lastIndexOf('/');
        if (slash > 0) {
            folder(name.substring(0, slash));
        }
        entries.put(name, entry);
        return this;
    }

    private static String relative(String path) {
        String name = path.startsWith("/") ? path.substring(1) : path;
        if (!PATH.matcher(name).matches()) {
            throw new IllegalArgumentException("'" + path
                    + "' names no file in the guest; give an absolute path without '.', '..' and double slashes");
        }
        return name.startsWith("lib/") || name.startsWith("lib64/") ? "usr/" + name : name;
    }

    /**
     * Returns the archive, in cpio's format "newc". The same files give the same bytes.
     *
     * @return the bytes
     * @throws IllegalArgumentException if they are more than 1 GiB together
     */
    public byte[] archive() {
        Initramfs all = copy().link("lib", "usr/lib").link("lib64", "usr/lib64");
        long size = all.entries.entrySet().stream()
                .mapToLong(entry -> entry.getValue().contents().bytes.length
                        + 2L * entry.getKey().length()
                        + HEADER)
                .sum();
        if (size > MOST) {
            throw new IllegalArgumentException("the guest's files have " + size + " bytes together, and at most " + MOST
                    + " can be there at the boot; give it the rest afterwards, or on a disk");
        }
        var archive = new CpioArchive((int) size);
        all.entries.forEach(
                (name, entry) -> archive.add(name, entry.mode(), entry.major(), entry.minor(), entry.contents().bytes));
        archive.add(relative(COMPLETE), DATA, 0, 0, new byte[0]);
        return archive.finish();
    }
}
