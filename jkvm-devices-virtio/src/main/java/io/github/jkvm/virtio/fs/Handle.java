package io.github.jkvm.virtio.fs;

import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OpenFlags;

/** A file or folder that the guest has opened. */
final class Handle extends TableEntry {
    /** What it is a handle of. */
    enum Kind {
        FILE,
        FOLDER
    }

    /** No offset of an entry. */
    private static final long NOWHERE = -1;

    private final Kind kind;
    private final long node;
    private final int flags;
    private long position;

    /** Takes an open file over: the number of the file, and the flags that the guest opened it with. */
    Handle(int fd, Kind kind, long node, int flags) {
        super(fd);
        this.kind = kind;
        this.node = node;
        this.flags = flags;
    }

    Kind kind() {
        return kind;
    }

    long node() {
        return node;
    }

    int flags() {
        return flags;
    }

    boolean isWritable() {
        return (flags & OpenFlags.O_ACCMODE) != Libc.O_RDONLY;
    }

    /** Where the next entry of a folder is read, as the host numbers it. Under the lock of this handle, as the rest. */
    long position() {
        return position;
    }

    void moveTo(long offset) {
        position = offset;
    }

    /** The host has moved on further than the guest was told. */
    void lost() {
        position = NOWHERE;
    }
}
