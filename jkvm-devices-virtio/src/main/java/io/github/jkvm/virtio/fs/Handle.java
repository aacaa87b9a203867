package io.github.jkvm.virtio.fs;

/** A file or folder that the guest has opened. */
final class Handle extends TableEntry {
    /** What it is a handle of. */
    enum Kind {
        FILE,
        FOLDER
    }

    private final Kind kind;
    private final boolean writable;

    Handle(int fd, Kind kind, boolean writable) {
        super(fd);
        this.kind = kind;
        this.writable = writable;
    }

    Kind kind() {
        return kind;
    }

    boolean isWritable() {
        return writable;
    }
}
