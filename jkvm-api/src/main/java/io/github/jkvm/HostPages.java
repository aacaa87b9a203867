package io.github.jkvm;

import java.util.Optional;

/**
 * What only a backend can do with the host's memory behind a region. Made by backends; used through the {@link MemoryRegion}. Safe for use by many
 * threads.
 */
public interface HostPages {

    /** What is left where pages were discarded. */
    enum Remains {
        /** Zeros, until the guest or the host writes there again. */
        ZEROS,
        /** What the file behind the memory holds. */
        FILE_CONTENTS
    }

    /**
     * The file behind a region.
     *
     * @param file the file
     * @param offset where in it the region begins, in bytes
     */
    record SharedFile(HostFile file, long offset) {}

    /**
     * Gives pages back to the host, which gives others when the range is touched again. Pages of the host that lie in the range only in part
     * stay as they are.
     *
     * @param offset first byte, relative to the region
     * @param length length in bytes; the range lies inside the region
     * @return how many bytes were given back, 0 if the host refused
     * @throws IllegalStateException if the memory is gone
     */
    long discard(long offset, long length);

    /**
     * Returns what is left where pages were discarded.
     *
     * @return the contents
     */
    Remains remains();

    /**
     * Returns the pages that may hold something else than the memory began with. A page that was only read may be among them; none that was written is
     * missing, whoever wrote it.
     *
     * @return the pages; empty if the host does not know, and then any may
     * @throws IllegalStateException if the memory is gone
     */
    default Optional<DirtyPages> changed() {
        return Optional.empty();
    }

    /**
     * Returns the file that another process can map to see the same memory.
     *
     * @return the file; empty if the memory is this process's alone
     */
    Optional<SharedFile> sharedFile();
}
