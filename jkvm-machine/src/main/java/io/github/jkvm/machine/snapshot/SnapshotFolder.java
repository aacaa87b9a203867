package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Bytes;
import io.github.jkvm.machine.BadSnapshotException;
import java.io.IOException;
import java.lang.System.Logger.Level;
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
import java.util.Objects;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

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
     */
    public record Opened(SavedMachine machine, GuestContents contents) implements AutoCloseable {
        /** Closes the contents. */
        @Override
        public void close() {
            contents.close();
        }
    }

    /** How much of a snapshot is written. */
    public enum Extent {
        /** All, so that it needs no other. */
        WHOLE,
        /** The pages that were written since its base was taken. */
        INCREMENT
    }

    /**
     * Writes a snapshot, in place of the one that the folder has, if it has one.
     *
     * @param folder the folder, made if it is not there
     * @param machine all but the contents of the memory
     * @param memory the contents, held by the caller meanwhile
     * @param extent how much of them
     * @throws IOException if it can't be written, or the folder has a snapshot that it builds on; the folder then has what it had
     * @throws BadSnapshotException if what would be made one is damaged
     */
    public static void save(Path folder, SavedMachine machine, Layer memory, Extent extent) throws IOException {
        boolean merge = extent == Extent.WHOLE && memory.below() != null;
        if (merge) {
            // New checksums would hide old damage.
            checkSound(memory);
        }
        Files.createDirectories(folder);
        try (var lock = FileChannel.open(folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock held = lock(folder, lock)) {
            LOG.log(Level.DEBUG, "saving to {0} under {1}", folder, held);
            Optional<MemoryFile> current = current(folder);
            if (extent == Extent.INCREMENT && current.isPresent()) {
                checkNoBase(folder, current.get(), memory);
            }
            // Left by a save that was cut short.
            deleteContents(folder, current.map(MemoryFile::file).orElse(""));
            Path contents = folder.resolve(MemoryFile.PREFIX + UUID.randomUUID());
            try {
                List<Run> runs = merge ? Run.seen(memory) : Run.own(memory);
                MemoryFile.write(contents, memory.size(), runs);
                var written = new MemoryFile(
                        contents.getFileName().toString(),
                        memory.identity(),
                        extent == Extent.WHOLE ? List.of() : baseOf(memory),
                        memory.size(),
                        Bytes.copyOf((merge ? memory.allPages() : memory.pages()).toByteArray()),
                        merge ? Checksums.of(memory.size(), runs, Checksums.Gaps.ZEROS) : memory.checksums());
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

    private static List<Identity> baseOf(Layer memory) {
        Layer below = memory.below();
        return below == null ? List.of() : List.of(below.identity());
    }

    private static void checkSound(Layer memory) {
        List<String> problems = memory.problems();
        if (!problems.isEmpty()) {
            throw new BadSnapshotException(String.join("; ", problems));
        }
    }

    private static void checkNoBase(Path folder, MemoryFile current, Layer memory) throws IOException {
        for (Layer base = memory.below(); base != null; base = base.below()) {
            if (base.id().equals(current.identity().id())) {
                throw new IOException(folder + " has snapshot " + base.id()
                        + ", on which the increment builds and which it would replace; choose another folder");
            }
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

    /** The contents that belong to the folder's snapshot; none, if it has none that can be read. */
    private static Optional<MemoryFile> current(Path folder) throws IOException {
        try {
            return Optional.of(memoryOf(sections(folder)));
        } catch (NoSuchFileException | BadSectionException none) {
            return Optional.empty();
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
     * Reads a snapshot and those that it builds on. The folders may come from anywhere.
     *
     * @param folders the folder of a whole snapshot, and those of the increments that build on each other from there, in order
     * @return the last of the snapshots, its contents to be closed by the caller
     * @throws NoSuchFileException if a folder has none
     * @throws IOException if one can't be read
     * @throws BadSnapshotException if one is damaged, was written by a build that this one does not understand, or does not build on the one before
     */
    public static Opened open(List<Path> folders) throws IOException {
        SavedMachine machine = null;
        Layer top = null;
        try {
            for (Path folder : folders) {
                try {
                    SequencedMap<String, Bytes> sections = sections(folder);
                    checkLayout(sections);
                    machine = SavedMachine.of(sections);
                    Layer layer = layer(folder, memoryOf(sections), machine, top);
                    if (top != null) {
                        // The layer above holds it from now on.
                        top.release();
                    }
                    top = layer;
                } catch (BadSectionException e) {
                    throw new BadSnapshotException("snapshot in " + folder + ": " + e.getMessage());
                }
            }
            var opened = new Opened(Objects.requireNonNull(machine), new GuestContents(Objects.requireNonNull(top)));
            top = null;
            return opened;
        } finally {
            if (top != null) {
                top.release();
            }
        }
    }

    private static void checkLayout(SequencedMap<String, Bytes> sections) throws BadSectionException {
        Bytes layout = sections.get(LAYOUT);
        if (layout == null || !new String(layout.toArray(), StandardCharsets.UTF_8).equals(SavedMachine.LAYOUT)) {
            throw new BadSectionException(
                    LAYOUT, "is not this build's: the snapshot was written by another version of jkvm; take it anew");
        }
    }

    private static Layer layer(Path folder, MemoryFile memory, SavedMachine machine, @Nullable Layer below)
            throws IOException, BadSectionException {
        if (memory.size() != machine.shape().memory()) {
            throw new BadSectionException(
                    MEMORY,
                    "tells of " + memory.size() + " bytes; the machine has "
                            + machine.shape().memory());
        }
        checkBase(memory, below);
        return Layer.opened(below, memory, FilePages.open(folder.resolve(memory.file()), memory.size()));
    }

    private static void checkBase(MemoryFile memory, @Nullable Layer below) throws BadSectionException {
        if (below == null) {
            if (!memory.base().isEmpty()) {
                throw new BadSectionException(
                        MEMORY,
                        "builds on snapshot " + memory.base().getFirst()
                                + ", which is missing; open the folder of that one first, then this");
            }
            return;
        }
        if (memory.base().isEmpty()) {
            throw new BadSectionException(MEMORY, "is whole and builds on no other; open it alone, or as the first");
        }
        Identity base = memory.base().getFirst();
        if (!base.equals(below.identity())) {
            throw new BadSectionException(
                    MEMORY,
                    "builds on snapshot " + base + ", and the folder before has " + below.identity()
                            + (base.id().equals(below.id()) ? ", which has changed since" : "; another is missing"));
        }
        if (memory.size() != below.size()) {
            throw new BadSectionException(
                    MEMORY, "tells of " + memory.size() + " bytes; the one that it builds on has " + below.size());
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
