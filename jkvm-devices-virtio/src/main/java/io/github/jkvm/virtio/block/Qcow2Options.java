package io.github.jkvm.virtio.block;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * How a new qcow2 image is made. Immutable.
 *
 * @param clusterSize unit of allocation in bytes: a power of two from 512 to 2 MiB; 64 KiB unless chosen otherwise
 * @param backing what the image shows where nothing was written; null for zeros
 */
public record Qcow2Options(int clusterSize, @Nullable Backing backing) {
    /**
     * The image below a new one.
     *
     * @param image the image, which stays open and unchanged as long as the new one is used; the program closes it
     * @param name the name that is written into the new image for programs that look for one, such as QEMU; never used here
     * @param format the format that goes with the name, {@code raw} or {@code qcow2}
     */
    public record Backing(DiskImage image, String name, String format) {
        /**
         * Creates a description.
         *
         * @throws IllegalArgumentException if name or format are empty
         */
        public Backing {
            Objects.requireNonNull(image, "image");
            if (name.isEmpty() || format.isEmpty()) {
                throw new IllegalArgumentException(
                        "backing name '" + name + "' and format '" + format + "' must not be empty");
            }
        }
    }

    /**
     * Creates options.
     *
     * @throws IllegalArgumentException if the cluster size is out of range
     */
    public Qcow2Options {
        if (Integer.bitCount(clusterSize) != 1
                || clusterSize < 1 << Qcow2Format.MIN_CLUSTER_BITS
                || clusterSize > 1 << Qcow2Format.MAX_CLUSTER_BITS) {
            throw new IllegalArgumentException("cluster size " + clusterSize + " must be a power of two from "
                    + (1 << Qcow2Format.MIN_CLUSTER_BITS) + " to " + (1 << Qcow2Format.MAX_CLUSTER_BITS) + " bytes");
        }
    }

    /**
     * Returns the options that suit most images: clusters of 64 KiB and nothing below.
     *
     * @return the options
     */
    public static Qcow2Options defaults() {
        return new Qcow2Options(64 << 10, null);
    }

    /**
     * Returns the same options with another cluster size.
     *
     * @param bytes a power of two from 512 to 2 MiB
     * @return new options
     * @throws IllegalArgumentException if it is out of range
     */
    public Qcow2Options withClusterSize(int bytes) {
        return new Qcow2Options(bytes, backing);
    }

    /**
     * Returns the same options with an image below.
     *
     * @param image the image, which stays open and unchanged as long as the new one is used; the program closes it
     * @param name the name that is written into the new image for programs that look for one, such as QEMU; never used here
     * @param format the format that goes with the name, {@code raw} or {@code qcow2}
     * @return new options
     * @throws IllegalArgumentException if name or format are empty
     */
    public Qcow2Options withBacking(DiskImage image, String name, String format) {
        return new Qcow2Options(clusterSize, new Backing(image, name, format));
    }
}
