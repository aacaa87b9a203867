package io.github.jkvm.machine.snapshot;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.machine.state.Pages;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import org.jspecify.annotations.Nullable;

/** Pages in a file, which nobody changes: each snapshot has a file of its own. Its name may go: what is open stays. */
final class FilePages implements PageSource {
    private static final System.Logger LOG = System.getLogger(FilePages.class.getName());

    private final Path file;
    private final Arena arena;
    private final MemorySegment bytes;
    private @Nullable MemoryImage image;

    private FilePages(Path file, Arena arena, MemorySegment bytes) {
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
    @SuppressWarnings("MustBeClosed") // closed with the pages
    static FilePages open(Path file, long size) throws IOException, BadSectionException {
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
                return new FilePages(file, arena, channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena));
            } catch (IOException | RuntimeException | Error failure) {
                arena.close();
                throw failure;
            }
        }
    }

    @Override
    public MemorySegment bytes() {
        return bytes;
    }

    @Override
    public synchronized MemoryImage image(Hypervisor hypervisor, BitSet pages) {
        MemoryImage now = image;
        if (now == null) {
            now = openFile(hypervisor);
            if (now == null) {
                now = copy(hypervisor, pages);
            }
            image = now;
        }
        return now;
    }

    /** Returns the file under its name; null if that is gone, or another's by now. */
    private @Nullable MemoryImage openFile(Hypervisor hypervisor) {
        if (Files.notExists(file)) {
            return null;
        }
        MemoryImage found;
        try {
            found = hypervisor.openMemoryImage(file);
        } catch (HypervisorException refused) {
            LOG.log(Level.DEBUG, "the pages of a snapshot are copied into memory", refused);
            return null;
        }
        if (found.size() == bytes.byteSize()) {
            return found;
        }
        found.close();
        return null;
    }

    private MemoryImage copy(Hypervisor hypervisor, BitSet pages) {
        MemoryImage copy = hypervisor.createMemoryImage(bytes.byteSize(), "jkvm snapshot");
        try {
            for (int page = pages.nextSetBit(0); page >= 0; ) {
                int end = pages.nextClearBit(page);
                Pages.copyNonzero(bytes, copy.segment(), Pages.offset(page), Pages.offset(end));
                page = pages.nextSetBit(end);
            }
            return copy;
        } catch (RuntimeException | Error failure) {
            copy.close();
            throw failure;
        }
    }

    /** Returns the file's name and folder. */
    @Override
    public String toString() {
        return file.getFileName() + " in " + file.getParent();
    }

    @Override
    public synchronized void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
        if (image != null) {
            image.close();
        }
    }
}
