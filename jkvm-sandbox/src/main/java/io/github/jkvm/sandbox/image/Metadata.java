package io.github.jkvm.sandbox.image;

import java.util.Collections;
import java.util.SortedMap;

/**
 * What a file is marked with, besides its name and contents.
 *
 * @param permissions the lower twelve bits of its mode: set-user-id, set-group-id, sticky, and who may read, write and execute
 * @param user the owner's number, an unsigned 32-bit number
 * @param group the group's number, an unsigned 32-bit number
 * @param seconds when its contents changed last, in seconds since 1970
 * @param nanoseconds the fraction of that second, 0 to 999,999,999
 * @param attributes extended attributes by their full names, in which each char is a byte; never changed
 */
record Metadata(
        int permissions, int user, int group, long seconds, int nanoseconds, SortedMap<String, byte[]> attributes) {
    /** The bits of a mode that are permissions (Linux, include/uapi/linux/stat.h). */
    static final int PERMISSIONS = 07777;

    /** A folder that nobody described: owned by root, and everybody may enter. */
    static final Metadata FOLDER = new Metadata(0755, 0, 0, 0, 0, none());

    Metadata {
        permissions &= PERMISSIONS;
    }

    /** No extended attributes. */
    static SortedMap<String, byte[]> none() {
        return Collections.emptySortedMap();
    }
}
