package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/** Files that images are written to. What fails leaves no file. */
final class ImageFile {
    private static final String PREFIX = "jkvm-root-";

    private ImageFile() {}

    /** Puts together an image's tree; contents of files go to the writer on the way. */
    interface Source {
        /** Reads it all; returns the root folder. */
        Inode.Folder read(ErofsWriter writer) throws IOException;
    }

    /** Writes an image to a new file in {@code java.io.tmpdir}, which nobody but this user can read. */
    static Path temporary(Source source) throws IOException {
        Path file = Files.createTempFile(PREFIX, ".erofs");
        write(file, source);
        return file;
    }

    /** Writes an image to a file, at once as others see it: they find the old, or none, or all of the new, even after a crash. */
    static void replace(Path target, Path folder, Source source) throws IOException {
        Files.createDirectories(folder);
        Path file = Files.createTempFile(folder, PREFIX, ".part");
        write(file, source);
        try {
            Files.move(file, target, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(file);
        }
    }

    private static void write(Path file, Source source) throws IOException {
        boolean done = false;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            ErofsWriter writer = new ErofsWriter(channel);
            writer.finish(source.read(writer));
            channel.force(true);
            done = true;
        } finally {
            if (!done) {
                Files.delete(file);
            }
        }
    }

    /** Says whether a file is there that {@link #replace} has written, and as long as it was. */
    static boolean isWhole(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            ByteBuffer first = ByteBuffer.allocate(ErofsFormat.BLOCK);
            while (first.hasRemaining() && channel.read(first) >= 0) {
                // Reads on: a channel may give less than there is.
            }
            return !first.hasRemaining() && ErofsFormat.isWhole(first, channel.size());
        } catch (NoSuchFileException e) {
            return false;
        }
    }
}
