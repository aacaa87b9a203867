package io.github.jkvm;

import java.lang.foreign.MemorySegment;

/**
 * Bytes that the memory of any number of guests begins as ({@link MemoryBacking#copyOf}), each with changes of its own: what a snapshot keeps of a
 * guest's memory. Made by {@link Hypervisor#openMemoryImage}, or by {@link Hypervisor#createMemoryImage} and then filled by the caller before the first copy
 * is made, and left alone from then on, since a change would be seen where a guest has not written yet.
 *
 * <p>Safe for use by many threads.
 */
public interface MemoryImage extends AutoCloseable {

    /**
     * Returns how large the image is.
     *
     * @return the size in bytes
     */
    long size();

    /**
     * Returns the bytes.
     *
     * @return a segment of {@link #size()} bytes, open to all threads, that lives as long as the image; read-only if the image is a file
     * @throws IllegalStateException if the image is closed
     */
    MemorySegment segment();

    /** Gives the bytes back. Copies made before stay as they are. Closing twice does nothing. */
    @Override
    void close();
}
