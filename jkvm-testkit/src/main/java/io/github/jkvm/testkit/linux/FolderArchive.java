package io.github.jkvm.testkit.linux;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;

/** Files on their way to or from a guest, as a tar archive that busybox's tar understands. */
final class FolderArchive {
    /** Permissions of owner, group and others. */
    private static final int PERMISSIONS = 0777;

    private static final int ALL_MODES = 07777;

    private FolderArchive() {}

    /**
     * Writes a file or folder of the host.
     *
     * @param source the file or folder
     * @param name what it is called in the archive
     */
    static void write(Path source, String name, OutputStream out) throws IOException {
        var archive = new TarArchiveOutputStream(out, "UTF-8");
        archive.setLongFileMode(TarArchiveOutputStream.LONGFILE_GNU);
        archive.setBigNumberMode(TarArchiveOutputStream.BIGNUMBER_STAR);
        List<Path> all;
        try (Stream<Path> found = Files.walk(source)) {
            all = found.sorted().toList();
        }
        for (Path file : all) {
            Path below = source.relativize(file);
            add(archive, file, file.equals(source) ? name : name + "/" + below);
        }
        archive.finish();
        archive.flush();
    }

    private static void add(TarArchiveOutputStream archive, Path file, String name) throws IOException {
        int mode = (int) Files.getAttribute(file, "unix:mode", LinkOption.NOFOLLOW_LINKS);
        BasicFileAttributes basic = Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        TarArchiveEntry entry;
        if (basic.isSymbolicLink()) {
            entry = new TarArchiveEntry(name, TarConstants.LF_SYMLINK);
            entry.setLinkName(Files.readSymbolicLink(file).toString());
        } else if (basic.isDirectory()) {
            entry = new TarArchiveEntry(name + "/");
        } else if (basic.isRegularFile()) {
            entry = new TarArchiveEntry(name);
            entry.setSize(basic.size());
        } else {
            throw new IOException(file + " is no file, folder or symbolic link");
        }
        entry.setMode(mode & ALL_MODES);
        entry.setModTime(basic.lastModifiedTime());
        archive.putArchiveEntry(entry);
        if (basic.isRegularFile()) {
            Files.copy(file, archive);
        }
        archive.closeArchiveEntry();
    }

    /**
     * Unpacks an archive with one file or folder at its top.
     *
     * @param file the archive
     * @param target what the file or folder becomes; is not there yet
     */
    static void unpack(Path file, Path target) throws IOException {
        // Folders get what they had when all is in them: it may be that no one may write there, and writing moves their
        // time.
        Deque<Path> folders = new ArrayDeque<>();
        Deque<TarArchiveEntry> theirs = new ArrayDeque<>();
        try (InputStream in = new BufferedInputStream(Files.newInputStream(file));
                var archive = new TarArchiveInputStream(in, "UTF-8")) {
            for (TarArchiveEntry entry; (entry = archive.getNextEntry()) != null; ) {
                Path place = place(target, entry.getName());
                if (entry.isDirectory()) {
                    Files.createDirectory(place);
                    folders.push(place);
                    theirs.push(entry);
                } else if (entry.isSymbolicLink()) {
                    Files.createSymbolicLink(place, Path.of(entry.getLinkName()));
                } else if (entry.isLink()) {
                    Files.createLink(place, place(target, entry.getLinkName()));
                } else if (entry.isFile() && !isSpecial(entry)) {
                    Files.copy(archive, place);
                    attributes(place, entry);
                } else {
                    throw new IOException("the guest's " + entry.getName() + " is no file, folder or link");
                }
            }
        }
        while (!folders.isEmpty()) {
            attributes(folders.pop(), theirs.pop());
        }
    }

    private static boolean isSpecial(TarArchiveEntry entry) {
        return entry.isCharacterDevice() || entry.isBlockDevice() || entry.isFIFO();
    }

    /** Where an entry goes: below the target, through no symbolic link that an entry before it may have made. */
    private static Path place(Path target, String name) throws IOException {
        Path path = Path.of("/" + name);
        for (Path part : path) {
            if (part.toString().equals("..")) {
                throw new IOException("the guest's archive has an entry '" + name + "'");
            }
        }
        path = path.normalize();
        // The first name is that of what was asked for, which the target stands for.
        Path place = target;
        for (int i = 1; i < path.getNameCount(); i++) {
            if (Files.isSymbolicLink(place)) {
                throw new IOException("the guest's archive has '" + name + "' behind a symbolic link");
            }
            place = place.resolve(path.getName(i));
        }
        return place;
    }

    private static void attributes(Path place, TarArchiveEntry entry) throws IOException {
        Files.setLastModifiedTime(
                place, FileTime.from(entry.getLastModifiedTime().toInstant()));
        Files.setAttribute(place, "unix:mode", entry.getMode() & PERMISSIONS);
    }
}
