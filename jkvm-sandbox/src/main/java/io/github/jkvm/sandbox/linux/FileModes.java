package io.github.jkvm.sandbox.linux;

import java.nio.file.attribute.PosixFilePermission;
import java.util.EnumSet;
import java.util.Set;

/** Permissions as bits (inode(7)). */
final class FileModes {
    /** The permission that the owner has to read is the highest of nine. */
    private static final int OWNER_READ = 0400;

    private FileModes() {}

    /** Returns the bit of a permission; the enum has them in the bits' order, from the highest. */
    static int bit(PosixFilePermission permission) {
        return OWNER_READ >> permission.ordinal();
    }

    static Set<PosixFilePermission> of(int mode) {
        Set<PosixFilePermission> granted = EnumSet.noneOf(PosixFilePermission.class);
        for (PosixFilePermission permission : PosixFilePermission.values()) {
            if ((mode & bit(permission)) != 0) {
                granted.add(permission);
            }
        }
        return granted;
    }
}
