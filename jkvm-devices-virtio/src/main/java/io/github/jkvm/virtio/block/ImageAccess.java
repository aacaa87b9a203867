package io.github.jkvm.virtio.block;

/** What an image is opened for. Other programs and other images of this one are kept from what would not go with it. */
public enum ImageAccess {
    /** Nothing is written. Others may read the file at the same time, and nobody may write it. */
    READ_ONLY,
    /** Nobody else may use the file. */
    READ_WRITE
}
