package io.github.jkvm.sandbox.image;

import io.github.jkvm.sandbox.RootFs;
import java.io.IOException;
import java.io.InputStream;
import java.net.URLDecoder;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/** Reads a folder of the host into an image, in the order of the names' bytes. Follows no links. */
final class FolderReader {
    /** All of these are there on Linux (the JDK's attribute view "unix"). */
    private static final String ATTRIBUTES = "unix:mode,uid,gid,ino,dev,rdev,nlink,size,lastModifiedTime,ctime";

    private final RootFs.Folder source;
    private final ErofsWriter writer;
    private final Budget budget;

    /** Files of more than one name that were met, so that all of their names get the same file. */
    private final Map<FileKey, Inode> linked = new HashMap<>();

    private record FileKey(long device, long number) {}

    /** A folder that is to be read. */
    private record Open(Path path, Inode.Folder folder) {}

    FolderReader(RootFs.Folder source, ErofsWriter writer, Budget budget) {
        this.source = source;
        this.writer = writer;
        this.budget = budget;
    }

    /**
     * Reads it all.
     *
     * @return the root folder
     * @throws IOException naming the file, if one cannot be read or changes meanwhile
     */
    Inode.Folder read() throws IOException {
        // What the caller names may be a link to the folder.
        Path top = source.path().toRealPath();
        Stat stat = Stat.of(top);
        if (stat.format() != Stat.FOLDER) {
            throw new IOException(top + " is no folder");
        }
        budget.addEntry();
        Inode.Folder root = new Inode.Folder(stat.metadata());
        Deque<Open> open = new ArrayDeque<>();
        open.push(new Open(top, root));
        while (!open.isEmpty()) {
            Open next = open.pop();
            readEntries(next, stat.device, open);
        }
        return root;
    }

    private void readEntries(Open open, long device, Deque<Open> found) throws IOException {
        for (Map.Entry<String, Path> entry : list(open.path).entrySet()) {
            Path path = entry.getValue();
            try {
                Stat stat = Stat.of(path);
                if (stat.format() == Stat.SOCKET) {
                    continue;
                }
                budget.addEntry();
                Inode inode = read(path, stat);
                open.folder.put(entry.getKey(), inode);
                if (inode instanceof Inode.Folder folder && stat.device == device) {
                    found.push(new Open(path, folder));
                }
            } catch (NoSuchFileException e) {
                throw new IOException(path + " vanished while the folder was being read", e);
            }
        }
    }

    private static SortedMap<String, Path> list(Path folder) throws IOException {
        SortedMap<String, Path> entries = new TreeMap<>();
        try (DirectoryStream<Path> paths = Files.newDirectoryStream(folder)) {
            for (Path path : paths) {
                entries.put(rawName(path), path);
            }
        } catch (DirectoryIteratorException e) {
            throw new IOException("cannot list " + folder + ": " + e.getMessage(), e);
        }
        return entries;
    }

    private Inode read(Path path, Stat stat) throws IOException {
        if (stat.format() == Stat.FOLDER) {
            return new Inode.Folder(stat.metadata());
        }
        FileKey key = new FileKey(stat.device, stat.number);
        Inode known = stat.links > 1 ? linked.get(key) : null;
        if (known != null) {
            return known;
        }
        Inode inode = switch (stat.format()) {
            case Stat.REGULAR -> readContents(path, stat);
            case Stat.SYMLINK -> new Inode.Symlink(stat.metadata(), rawTarget(Files.readSymbolicLink(path)));
            case Stat.CHARACTER_DEVICE -> special(stat, Inode.SpecialType.CHARACTER_DEVICE);
            case Stat.BLOCK_DEVICE -> special(stat, Inode.SpecialType.BLOCK_DEVICE);
            case Stat.PIPE -> special(stat, Inode.SpecialType.PIPE);
            default ->
                throw new IOException(path + " is of no known type: its mode is 0" + Integer.toOctalString(stat.mode));
        };
        if (stat.links > 1) {
            linked.put(key, inode);
        }
        return inode;
    }

    private static Inode special(Stat stat, Inode.SpecialType type) {
        // The numbers' places in dev_t as glibc has them: bits/sysmacros.h.
        long major = ((stat.special >>> 8) & 0xFFF) | ((stat.special >>> 32) & 0xFFFF_F000L);
        long minor = (stat.special & 0xFF) | ((stat.special >>> 12) & 0xFFFF_FF00L);
        return new Inode.Special(stat.metadata(), type, Inode.Special.device(major, minor));
    }

    private Inode readContents(Path path, Stat before) throws IOException {
        Inode.Regular file;
        try (InputStream contents = new CountedInputStream(
                Channels.newInputStream(
                        Files.newByteChannel(path, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS))),
                budget)) {
            file = writer.append(before.metadata(), contents);
        }
        if (file.size() != before.size || !Stat.of(path).equals(before)) {
            throw new IOException(path + " changed while it was being read; give a folder that nobody writes to");
        }
        return file;
    }

    /** A path's last name, in which each char is a byte of it. */
    private static String rawName(Path path) {
        String name = Objects.requireNonNull(path.getFileName()).toString();
        if (isAscii(name)) {
            return name;
        }
        String raw = path.toUri().getRawPath();
        int end = raw.endsWith("/") ? raw.length() - 1 : raw.length();
        return decode(raw.substring(raw.lastIndexOf('/', end - 1) + 1, end));
    }

    /** A link's target, in which each char is a byte of it. */
    private static String rawTarget(Path target) {
        String text = target.toString();
        if (isAscii(text)) {
            return text;
        }
        String raw = decode(target.toUri().getRawPath());
        if (!target.isAbsolute()) {
            raw = raw.substring(decode(Path.of("").toUri().getRawPath()).length());
        }
        // The URI of what happens to be a folder here ends in a slash.
        return raw.endsWith("/") && !text.endsWith("/") ? raw.substring(0, raw.length() - 1) : raw;
    }

    /** Names of other bytes may have lost some on their way to a string: it depends on the locale. */
    private static boolean isAscii(String text) {
        return text.chars().allMatch(c -> c < 0x80);
    }

    private static String decode(String rawPath) {
        // Escapes are of single bytes; a plus is itself here, as opposed to forms of web pages.
        return URLDecoder.decode(rawPath.replace("+", "%2B"), StandardCharsets.ISO_8859_1);
    }

    /** What the host knows of a file. Equal if it did not change. */
    private record Stat(
            int mode,
            int user,
            int group,
            long number,
            long device,
            long special,
            int links,
            long size,
            FileTime modified,
            FileTime changed) {
        // Linux, include/uapi/linux/stat.h.
        static final int FORMAT = 0170000;
        static final int SOCKET = 0140000;
        static final int SYMLINK = 0120000;
        static final int REGULAR = 0100000;
        static final int BLOCK_DEVICE = 0060000;
        static final int FOLDER = 0040000;
        static final int CHARACTER_DEVICE = 0020000;
        static final int PIPE = 0010000;

        static Stat of(Path path) throws IOException {
            Map<String, Object> values = Files.readAttributes(path, ATTRIBUTES, LinkOption.NOFOLLOW_LINKS);
            return new Stat(
                    (Integer) value(values, "mode"),
                    (Integer) value(values, "uid"),
                    (Integer) value(values, "gid"),
                    (Long) value(values, "ino"),
                    (Long) value(values, "dev"),
                    (Long) value(values, "rdev"),
                    (Integer) value(values, "nlink"),
                    (Long) value(values, "size"),
                    (FileTime) value(values, "lastModifiedTime"),
                    (FileTime) value(values, "ctime"));
        }

        private static Object value(Map<String, Object> values, String name) {
            return Objects.requireNonNull(values.get(name), name);
        }

        int format() {
            return mode & FORMAT;
        }

        Metadata metadata() {
            Instant time = modified.toInstant();
            return new Metadata(mode, user, group, time.getEpochSecond(), time.getNano(), Metadata.none());
        }
    }
}
