package io.github.jkvm.machine.snapshot;

import io.github.jkvm.MemoryBacking;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Contents in a file, which nobody changes: each snapshot has a file of its own. */
final class FileContents implements GuestContents {
    private final Path file;
    private final Arena arena;
    private final MemorySegment bytes;

    private FileContents(Path file, Arena arena, MemorySegment bytes) {
        this.file = file;
        this.arena = arena;
        this.bytes = bytes;
    }

    /**
     * Opens the file.
     *
     * @throws BadSectionException if it has not the size that it must have
     * @throws IOException if it can't be read
     */
    @SuppressWarnings("MustBeClosed") // closed with the contents
    static FileContents open(Path file, long size) throws IOException, BadSectionException {
        if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
            // A link could lead to anything of the user's, which the guest would then see.
            throw new BadSectionException(SnapshotFolder.MEMORY, "names " + file + ", which is no file, or not there");
        }
        try (var channel = FileChannel.open(file, StandardOpenOption.READ)) {
            if (channel.size() != size) {
                // What lies past the end of a file can be mapped, but touching it is a fatal signal.
                throw new BadSectionException(
                        SnapshotFolder.MEMORY, "tells of " + size + " bytes; " + file + " has " + channel.size());
            }
            Arena arena = Arena.ofShared();
            try {
                return new FileContents(file, arena, channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena));
            } catch (IOException | RuntimeException | Error failure) {
                arena.close();
                throw failure;
            }
        }
    }

    @Override
    public MemoryBacking backing(long offset, long size) {
        return MemoryBacking.copyOnWriteFile(file, offset, size);
    }

    @Override
    public MemorySegment bytes() {
        return bytes;
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
