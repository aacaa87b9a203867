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

    private final int fd;
    private final Kind kind;
    private final Inode inode;
    private final int flags;
    private long position;

    /** Takes an open file over: its descriptor, what it is, and the flags that the guest opened it with. */
    Handle(int fd, Kind kind, Inode inode, int flags) {
        this.fd = fd;
        this.kind = kind;
        this.inode = inode;
        this.flags = flags;
    }

    /** The descriptor, which is open as long as the handle is acquired. */
    int fd() {
        return fd;
    }

    Kind kind() {
        return kind;
    }

    /** The file, whose place is open as long as this handle is. */
    Inode inode() {
        return inode;
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
