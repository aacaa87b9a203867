package io.github.jkvm.sandbox;

import java.nio.file.Path;
import java.util.Objects;
import java.util.Optional;

/**
 * What the root of a Linux guest's file system is made from. It is read only: what a guest writes goes elsewhere.
 *
 * <p>Folders and container images become a file system image of the host's making, so that the guest sees the owners, modes and device nodes that they tell of,
 * whoever runs the host program. Values of this type only say where the root comes from; nothing is read before a sandbox is built.
 */
public sealed interface RootFs {
    /** How many files, folders and links a root has at most, unless told otherwise: 1,000,000. */
    int DEFAULT_MAX_ENTRIES = 1_000_000;

    /** How many bytes are read for a root at most, unless told otherwise: 32 GiB. */
    long DEFAULT_MAX_BYTES = 32L << 30;

    /**
     * Returns a root with the contents of a folder of the host.
     *
     * @param path the folder
     * @return the root
     */
    static Folder folder(Path path) {
        return new Folder(path, DEFAULT_MAX_ENTRIES, DEFAULT_MAX_BYTES);
    }

    /**
     * Returns a root that is a file system image: ext4, squashfs or erofs, told apart by what they begin with.
     *
     * @param file the image; never written
     * @return the root
     */
    static Image image(Path file) {
        return new Image(file);
    }

    /**
     * Returns a root from the only image for linux/amd64 of a folder in OCI image layout, such as {@code skopeo copy docker://... oci:FOLDER} makes.
     *
     * @param layout the folder that holds {@code oci-layout} and {@code index.json}
     * @return the root
     */
    static Oci oci(Path layout) {
        return new Oci(layout, Optional.empty(), Optional.empty(), DEFAULT_MAX_ENTRIES, DEFAULT_MAX_BYTES);
    }

    /**
     * Returns a root from one of the images of a folder in OCI image layout.
     *
     * @param layout the folder that holds {@code oci-layout} and {@code index.json}
     * @param reference the image's name: its annotation {@code org.opencontainers.image.ref.name} in the index, or its digest, as {@code sha256:...}
     * @return the root
     */
    static Oci oci(Path layout, String reference) {
        return new Oci(layout, Optional.of(reference), Optional.empty(), DEFAULT_MAX_ENTRIES, DEFAULT_MAX_BYTES);
    }

    /**
     * A folder of the host.
     *
     * <p>Kept are names, contents, modes, owners, times, symbolic links, hard links, device nodes and pipes. Links are never followed. Sockets and extended
     * attributes are left out, and so is what other file systems hold that are mounted inside. A file that changes while it is read is an error.
     *
     * @param path where it is
     * @param maxEntries how many files, folders and links it may have, 1 or more
     * @param maxBytes how many bytes its files may have together, 0 or more
     */
    record Folder(Path path, int maxEntries, long maxBytes) implements RootFs {
        /**
         * Checks the numbers.
         *
         * @throws IllegalArgumentException if a limit is out of its range
         */
        public Folder {
            Objects.requireNonNull(path, "path");
            checkLimits(maxEntries, maxBytes);
        }

        /**
         * Returns this root with other limits.
         *
         * @param entries how many files, folders and links it may have, 1 or more
         * @param bytes how many bytes its files may have together, 0 or more
         * @return the root
         * @throws IllegalArgumentException if a limit is out of its range
         */
        public Folder withLimits(int entries, long bytes) {
            return new Folder(path, entries, bytes);
        }
    }

    /**
     * A file that holds a file system: ext4, squashfs or erofs.
     *
     * @param file where it is
     */
    record Image(Path file) implements RootFs {
        /** Checks that the file is there to be asked for. */
        public Image {
            Objects.requireNonNull(file, "file");
        }
    }

    /**
     * A container image in a folder in OCI image layout (image-spec 1.1, image-layout.md). Its layers are checked against their digests, and put together
     * without ever being unpacked to the host, so that no image reaches a file outside.
     *
     * @param layout the folder that holds {@code oci-layout} and {@code index.json}
     * @param reference the image's name or digest; empty for the only one
     * @param cache the folder that keeps converted images for the next time; empty to convert every time
     * @param maxEntries how many entries its layers may have together, 1 or more
     * @param maxBytes how many bytes its layers may unpack to together, 0 or more
     */
    record Oci(Path layout, Optional<String> reference, Optional<Path> cache, int maxEntries, long maxBytes)
            implements RootFs {
        /**
         * Checks the numbers.
         *
         * @throws IllegalArgumentException if a limit is out of its range
         */
        public Oci {
            Objects.requireNonNull(layout, "layout");
            Objects.requireNonNull(reference, "reference");
            Objects.requireNonNull(cache, "cache");
            checkLimits(maxEntries, maxBytes);
        }

        /**
         * Returns this root with a folder for converted images: what was converted once is taken from there. Its files are named by the digests of the images'
         * manifests, and may be deleted while no sandbox is being built.
         *
         * @param folder the folder; made if it is missing. Only people who may change what guests run should be able to write to it
         * @return the root
         */
        public Oci cachedIn(Path folder) {
            return new Oci(layout, reference, Optional.of(folder), maxEntries, maxBytes);
        }

        /**
         * Returns this root with other limits.
         *
         * @param entries how many entries its layers may have together, 1 or more
         * @param bytes how many bytes its layers may unpack to together, 0 or more
         * @return the root
         * @throws IllegalArgumentException if a limit is out of its range
         */
        public Oci withLimits(int entries, long bytes) {
            return new Oci(layout, reference, cache, entries, bytes);
        }
    }

    private static void checkLimits(int entries, long bytes) {
        if (entries < 1 || bytes < 0) {
            throw new IllegalArgumentException("a root of at most " + entries + " entries and " + bytes
                    + " bytes makes no sense; give 1 entry or more, and 0 bytes or more");
        }
    }
}
