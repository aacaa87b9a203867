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

    private final Kind kind;
    private final long node;
    private final int flags;

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
}
