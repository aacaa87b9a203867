package io.github.jkvm.sandbox.image;

/**
 * An entry of a tar archive. In strings each char is a byte.
 *
 * @param path where it is, as the archive says
 * @param type the type flag: {@code '0'} to {@code '6'} as POSIX has them
 * @param metadata its owner, mode, time and attributes
 * @param target what a link points to
 * @param size how many bytes of contents follow
 * @param device a device's number, as inodes have it
 */
record TarEntry(String path, char type, Metadata metadata, String target, long size, int device) {}
