package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Bytes;
import io.github.jkvm.machine.BadSnapshotException;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.SequencedMap;
import java.util.UUID;

/**
 * A snapshot in a folder: the file {@value #INDEX} with all but the memory's contents, and the file of these that it names. A new snapshot writes its own
 * file of contents first, and becomes the folder's by the renaming of one file; the old contents are deleted last. So whenever a save is cut short, the
 * folder has either snapshot, whole.
 */
public final class SnapshotFolder {
    /** The file that makes a folder a snapshot. */
    public static final String INDEX = "snapshot";

    static final String MEMORY = "memory";

    private static final System.Logger LOG = System.getLogger(SnapshotFolder.class.getName());

    private static final String LAYOUT = "layout";
    private static final String UNFINISHED = "snapshot.new";
    private static final String LOCK = "lock";

    private SnapshotFolder() {}

    /**
     * A snapshot that was read.
     *
     * @param machine all but the contents of the memory
     * @param contents the contents
     * @param verification what finds damage in the contents
     */
    public record Opened(SavedMachine machine, GuestContents contents, Verification verification)
            implements AutoCloseable {
        /** Closes the contents. */
        @Override
        public void close() {
            contents.close();
        }
    }

    /** Looks for damage. */
    @FunctionalInterface
    public interface Verification {
        /**
         * Compares all contents with their checksums.
         *
         * @return a sentence for each damaged piece
         */
        List<String> problems();
    }

    /**
     * Writes a snapshot, in place of the one that the folder has, if it has one.
     *
     * @param folder the folder, made if it is not there
     * @param machine all but the contents of the memory
     * @param memory the contents
     * @throws IOException if it can't be written; the folder then has what it had
     */
    public static void save(Path folder, SavedMachine machine, MemorySegment memory) throws IOException {
        Files.createDirectories(folder);
        try (var lock = FileChannel.open(folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock held = lock(folder, lock)) {
            LOG.log(Level.DEBUG, "saving to {0} under {1}", folder, held);
            // Left by a save that was cut short.
            deleteContents(folder, current(folder));
            Path contents = folder.resolve(MemoryFile.PREFIX + UUID.randomUUID());
            try {
                MemoryFile written = MemoryFile.write(contents, memory);
                SequencedMap<String, Bytes> sections = machine.toSections();
                sections.putFirst(LAYOUT, Bytes.copyOf(SavedMachine.LAYOUT.getBytes(StandardCharsets.UTF_8)));
                sections.putLast(MEMORY, written.encode());
                writeIndex(folder, SectionFile.encode(sections));
            } catch (IOException | RuntimeException | Error failure) {
                Files.deleteIfExists(contents);
                throw failure;
            }
            deleteContents(folder, contents.getFileName().toString());
        }
    }

    private static FileLock lock(Path folder, FileChannel lock) throws IOException {
        try {
            var held = lock.tryLock();
            if (held != null) {
                return held;
            }
        } catch (OverlappingFileLockException sameProcess) {
            // As if another process had it.
        }
        throw new IOException(
                "another snapshot is being saved to " + folder + "; wait for it, or choose another folder");
    }

    private static void writeIndex(Path folder, byte[] bytes) throws IOException {
        Path unfinished = folder.resolve(UNFINISHED);
        try (var channel = FileChannel.open(
                unfinished,
                StandardOpenOption.CREATE,
                StandardOpenOption.TRUNCATE_EXISTING,
                StandardOpenOption.WRITE)) {
            ByteBuffer left = ByteBuffer.wrap(bytes);
            while (left.hasRemaining()) {
                channel.write(left);
            }
            channel.force(true);
        }
        // The names of both files must be on the disk before one of them means something, and after.
        sync(folder);
        try {
            Files.move(unfinished, folder.resolve(INDEX), StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            throw new IOException(
                    "the file system of " + folder + " can't replace a file in one step; choose another", e);
        }
        sync(folder);
    }

    /** Puts a folder's entries on the disk (fsync(2)). */
    private static void sync(Path folder) throws IOException {
        try (var channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    /** The name of the contents that belong to the folder's snapshot; none, if it has none that can be read. */
    private static String current(Path folder) throws IOException {
        try {
            return memoryOf(sections(folder)).file();
        } catch (NoSuchFileException | BadSectionException none) {
            return "";
        }
    }

    private static void deleteContents(Path folder, String kept) throws IOException {
        try (var files = Files.newDirectoryStream(folder, MemoryFile.PREFIX + "*")) {
            for (Path file : files) {
                if (!file.getFileName().toString().equals(kept)) {
                    Files.delete(file);
                }
            }
        }
    }

    /**
     * Reads a snapshot. The folder may come from anywhere.
     *
     * @param folder the folder
     * @return the snapshot, its contents to be closed by the caller
     * @throws NoSuchFileException if the folder has none
     * @throws IOException if it can't be read
     * @throws BadSnapshotException if it is damaged, or was written by a build that this one does not understand
     */
    public static Opened open(Path folder) throws IOException {
        try {
            SequencedMap<String, Bytes> sections = sections(folder);
            Bytes layout = sections.get(LAYOUT);
            if (layout == null || !new String(layout.toArray(), StandardCharsets.UTF_8).equals(SavedMachine.LAYOUT)) {
                throw new BadSectionException(
                        LAYOUT,
                        "is not this build's: the snapshot was written by another version of jkvm; take it anew");
            }
            SavedMachine machine = SavedMachine.of(sections);
            MemoryFile memory = memoryOf(sections);
            if (memory.size() != machine.shape().memory()) {
                throw new BadSectionException(
                        MEMORY,
                        "tells of " + memory.size() + " bytes; the machine has "
                                + machine.shape().memory());
            }
            FileContents contents = FileContents.open(folder.resolve(memory.file()), memory.size());
            return new Opened(machine, contents, () -> memory.problems(contents.bytes()));
        } catch (BadSectionException e) {
            throw new BadSnapshotException("snapshot in " + folder + ": " + e.getMessage());
        }
    }

    private static SequencedMap<String, Bytes> sections(Path folder) throws IOException, BadSectionException {
        Path index = folder.resolve(INDEX);
        long size = Files.size(index);
        if (size > SectionFile.MAX_SIZE) {
            throw new BadSectionException(
                    "header",
                    "is of a file of " + size + " bytes; one of a snapshot has at most " + SectionFile.MAX_SIZE);
        }
        try (var in = Files.newInputStream(index)) {
            return SectionFile.decode(in.readNBytes(SectionFile.MAX_SIZE));
        }
    }

    private static MemoryFile memoryOf(SequencedMap<String, Bytes> sections) throws BadSectionException {
        Bytes bytes = sections.get(MEMORY);
        if (bytes == null) {
            throw new BadSectionException(MEMORY, "is missing");
        }
        try {
            return MemoryFile.decode(bytes.toArray());
        } catch (IllegalArgumentException e) {
            throw new BadSectionException(MEMORY, e);
        }
    }
}
