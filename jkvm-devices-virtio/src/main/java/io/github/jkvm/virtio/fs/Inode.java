package io.github.jkvm.virtio.fs;

import io.github.jkvm.kvm.ffi.FileStat;

/** A file that the guest knows, held as a place in the host's tree: its descriptor can't be read from or written to. */
final class Inode extends TableEntry {
    /** What makes two names the same file. Mounts inside the folder are not entered, so the mount does not count. */
    record Key(long device, long number) {
        static Key of(FileStat stat) {
            return new Key(stat.device(), stat.ino());
        }
    }

    private final Key key;
    private final int kind;

    Inode(int fd, FileStat stat) {
        super(fd);
        key = Key.of(stat);
        kind = stat.kind();
    }

    Key key() {
        return key;
    }

    /** One of {@code FileStat.S_IF*}; a file never changes it. */
    int kind() {
        return kind;
    }
}
