package io.github.jkvm;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/**
 * Where the bytes of a memory region come from.
 *
 * <p>Sizes are in bytes and must be a multiple of the host's page size (4096 on x86), or of {@code pageSize} where huge pages are asked
 * for.
 */
public sealed interface MemoryBacking {

    /** Ordinary pages of the host's own size. */
    long HOST_PAGES = 0;

    /**
     * Returns the size of the memory.
     *
     * @return the size in bytes
     */
    long size();

    /**
     * Zeroed memory that belongs to this process, given by the host page by page when first touched.
     *
     * @param size size in bytes, a multiple of the page size
     * @param pageSize {@link #HOST_PAGES}, or a huge page size such as 2 MiB, of which the host must have enough reserved
     */
    record Anonymous(long size, long pageSize) implements MemoryBacking {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if a size is out of range
         */
        public Anonymous {
            checkSize(size, pageSize);
        }
    }

    /**
     * Zeroed memory with a file descriptor of its own (memfd), which can be handed to another process.
     *
     * @param size size in bytes, a multiple of the page size
     * @param pageSize {@link #HOST_PAGES}, or a huge page size
     * @param name the name that the host shows for it, without NUL, at most 249 bytes (memfd_create(2))
     */
    record Memfd(long size, long pageSize, String name) implements MemoryBacking {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if a size is out of range or the name has a NUL or is too long
         */
        public Memfd {
            checkSize(size, pageSize);
            if (name.indexOf('\0') >= 0 || name.getBytes(java.nio.charset.StandardCharsets.UTF_8).length > 249) {
                throw new IllegalArgumentException("memfd name '" + name + "' must have no NUL and at most 249 bytes");
            }
        }
    }

    /**
     * A part of a file.
     *
     * @param path the file; its bytes from {@code offset} to {@code offset + size} must exist
     * @param offset where the part begins, in bytes, a multiple of the page size
     * @param size size in bytes, a multiple of the page size
     * @param sharing whether what is written goes to the file
     */
    record File(Path path, long offset, long size, Sharing sharing) implements MemoryBacking {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if the size or offset is out of range
         */
        public File {
            Objects.requireNonNull(path, "path");
            Objects.requireNonNull(sharing, "sharing");
            checkSize(size, HOST_PAGES);
            if (offset < 0 || offset + size < 0) {
                throw new IllegalArgumentException(
                        "file offset " + offset + " with size " + size + " must lie within 0 to 2^63-1");
            }
        }
    }

    /**
     * A part of an image, of which this memory begins as a copy. Pages are copied when they are first written.
     *
     * @param image the image, which may be closed once the memory is there
     * @param offset where the part begins, in bytes, a multiple of the page size
     * @param size size in bytes, a multiple of the page size
     */
    record Copy(MemoryImage image, long offset, long size) implements MemoryBacking {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if the part is not inside the image
         */
        public Copy {
            checkSize(size, HOST_PAGES);
            if (offset < 0 || offset > image.size() - size) {
                throw new IllegalArgumentException("memory of " + size + " bytes from offset " + offset
                        + " is not inside the image, which has " + image.size() + " bytes");
            }
        }
    }

    /**
     * A part of an image with parts of other images in the place of some of its pages: memory that begins as several images laid one upon the other show
     * it. Pages are copied when they are first written.
     *
     * @param bottom what is seen where no layer is
     * @param layers what is seen elsewhere, none over another; each costs the host a mapping, of which a process has some ten thousand
     */
    record Layered(Copy bottom, List<Layer> layers) implements MemoryBacking {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if a layer is not inside the bottom, or begins before the one that precedes it in the list ends
         */
        public Layered {
            layers = List.copyOf(layers);
            long end = 0;
            for (Layer layer : layers) {
                if (layer.at < end || layer.at > bottom.size - layer.contents.size) {
                    throw new IllegalArgumentException("a layer of " + layer.contents.size + " bytes at " + layer.at
                            + " must begin at " + end + " or later and end within the " + bottom.size
                            + " bytes below; give layers in order");
                }
                end = layer.at + layer.contents.size;
            }
        }

        @Override
        public long size() {
            return bottom.size;
        }
    }

    /**
     * One part of {@link Layered} memory.
     *
     * @param at where it begins in the memory, in bytes, a multiple of the page size
     * @param contents what is there
     */
    record Layer(long at, Copy contents) {}

    /** Where writes to a file's memory go. */
    enum Sharing {
        /** To the file, seen by all who have mapped it. */
        SHARED,
        /** To private copies of the pages; the file keeps its contents. The file may be read-only. */
        COPY_ON_WRITE
    }

    /**
     * Returns zeroed memory of this process.
     *
     * @param size size in bytes, a multiple of the page size
     * @return the backing
     * @throws IllegalArgumentException if the size is not positive
     */
    static MemoryBacking anonymous(long size) {
        return new Anonymous(size, HOST_PAGES);
    }

    /**
     * Returns zeroed memory in huge pages.
     *
     * @param size size in bytes, a multiple of {@code pageSize}
     * @param pageSize the huge page size in bytes, a power of two such as 2 MiB
     * @return the backing
     * @throws IllegalArgumentException if the sizes don't fit each other
     */
    static MemoryBacking hugePages(long size, long pageSize) {
        if (pageSize == HOST_PAGES) {
            throw new IllegalArgumentException("huge page size 0; use anonymous(size) for ordinary pages");
        }
        return new Anonymous(size, pageSize);
    }

    /**
     * Returns zeroed memory with a file descriptor.
     *
     * @param size size in bytes, a multiple of the page size
     * @param name the name that the host shows for it
     * @return the backing
     * @throws IllegalArgumentException if the size is not positive or the name is not allowed
     */
    static MemoryBacking memfd(long size, String name) {
        return new Memfd(size, HOST_PAGES, name);
    }

    /**
     * Returns a part of a file, written through to the file.
     *
     * @param path the file
     * @param offset where the part begins, in bytes
     * @param size size in bytes
     * @return the backing
     * @throws IllegalArgumentException if the range is not one
     */
    static MemoryBacking sharedFile(Path path, long offset, long size) {
        return new File(path, offset, size, Sharing.SHARED);
    }

    /**
     * Returns a part of a file whose contents stay as they are: writes go to private copies.
     *
     * @param path the file
     * @param offset where the part begins, in bytes
     * @param size size in bytes
     * @return the backing
     * @throws IllegalArgumentException if the range is not one
     */
    static MemoryBacking copyOnWriteFile(Path path, long offset, long size) {
        return new File(path, offset, size, Sharing.COPY_ON_WRITE);
    }

    /**
     * Returns memory that begins as a copy of a part of an image.
     *
     * @param image the image
     * @param offset where the part begins, in bytes
     * @param size size in bytes
     * @return the backing
     * @throws IllegalArgumentException if the part is not inside the image
     */
    static MemoryBacking copyOf(MemoryImage image, long offset, long size) {
        return new Copy(image, offset, size);
    }

    /**
     * Returns memory that begins as a part of an image with other parts laid over it.
     *
     * @param bottom what is seen where no layer is, as {@link #copyOf} returns it
     * @param layers the parts, in order, none over another
     * @return the backing
     * @throws IllegalArgumentException if the bottom is another kind of backing, or the layers are not inside it in order
     */
    static MemoryBacking layered(MemoryBacking bottom, List<Layer> layers) {
        if (!(bottom instanceof Copy copy)) {
            throw new IllegalArgumentException("layers lie on the copy of an image, not on " + bottom);
        }
        return new Layered(copy, layers);
    }

    private static void checkSize(long size, long pageSize) {
        if (pageSize != HOST_PAGES && (pageSize < 0 || Long.bitCount(pageSize) != 1)) {
            throw new IllegalArgumentException("page size " + pageSize + " is not a power of two");
        }
        if (size <= 0 || (pageSize != HOST_PAGES && size % pageSize != 0)) {
            throw new IllegalArgumentException("memory size " + size + " must be above 0"
                    + (pageSize == HOST_PAGES ? "" : " and a multiple of the page size " + pageSize));
        }
    }
}
