package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_ATIME;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_ATIMENSEC;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_BLKSIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_BLOCKS;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_CTIME;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_CTIMENSEC;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_GID;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_INO;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_MODE;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_MTIME;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_MTIMENSEC;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_NLINK;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_OUT_ATTR;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_OUT_DUMMY;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_OUT_VALID;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_OUT_VALID_NSEC;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_RDEV;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_SIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_UID;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_ATTR;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_ATTR_VALID;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_ATTR_VALID_NSEC;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_GENERATION;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_NODEID;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_VALID;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_VALID_NSEC;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileStat;
import io.github.jkvm.kvm.ffi.Libc;
import java.lang.foreign.MemorySegment;
import java.time.Duration;

/** Makes the replies that tell of a file: its number, its attributes, and how long they may be believed. */
final class FuseReplies {
    private final SharedFolder folder;
    private final InodeTable inodes;
    private final long validSeconds;
    private final int validNanos;

    FuseReplies(SharedFolder folder, InodeTable inodes, Duration cacheTime) {
        this.folder = folder;
        this.inodes = inodes;
        this.validSeconds = cacheTime.getSeconds();
        this.validNanos = cacheTime.getNano();
    }

    /** Why nothing can be found or made now: no room for the reply or for one more file. 0 if it can. */
    int refusal(FuseExchange x, int replyBytes) {
        if (x.room() < replyBytes) {
            return -Errno.EINVAL;
        }
        return inodes.isFull() ? -Errno.ENFILE : 0;
    }

    /**
     * Makes a file that is in a folder known to the guest, which has one reference more then. Opens nothing if it need not.
     *
     * @param parent the folder, which is in use
     * @param name the file's name there
     * @return the bytes of the reply, or {@code -errno}
     */
    int lookup(FuseExchange x, Inode parent, MemorySegment name) {
        return lookupAt(x, 0, parent, name);
    }

    /** The same, further on in the reply. */
    int lookupAt(FuseExchange x, int offset, Inode parent, MemorySegment name) {
        FileStat stat = x.scratch().stat();
        int failed = folder.look(parent.fd(), name, stat);
        if (failed != 0) {
            return failed;
        }
        return stat.hasBirth()
                ? enter(x, offset, InodeTable.NO_DESCRIPTOR, parent, name)
                : entry(x, offset, folder.find(parent.fd(), name, x.scratch()), parent, name);
    }

    /**
     * Makes a file known to the guest, which has one reference more then.
     *
     * @param fd the file as a place, taken over; or {@code -errno}, which is returned
     * @param parent the folder that it is in
     * @param name its name there
     * @return the bytes of the reply, or {@code -errno}
     */
    int entry(FuseExchange x, int fd, Inode parent, MemorySegment name) {
        return entry(x, 0, fd, parent, name);
    }

    private int entry(FuseExchange x, int offset, int fd, Inode parent, MemorySegment name) {
        if (fd < 0) {
            return fd;
        }
        FileStat stat = x.scratch().stat();
        int failed = stat.read(fd);
        if (failed != 0) {
            Libc.close(fd);
            return failed;
        }
        return enter(x, offset, fd, parent, name);
    }

    private int enter(FuseExchange x, int offset, int fd, Inode parent, MemorySegment name) {
        FileStat stat = x.scratch().stat();
        long id = inodes.enter(fd, stat, parent.id, name);
        if (id == 0) {
            return -Errno.ENFILE;
        }
        x.putLong(offset + ENTRY_NODEID, id);
        // A number of ours is never used again for another file, so it needs no generation beside it.
        x.putLong(offset + ENTRY_GENERATION, 0);
        x.putLong(offset + ENTRY_VALID, validSeconds);
        x.putLong(offset + ENTRY_ATTR_VALID, validSeconds);
        x.putInt(offset + ENTRY_VALID_NSEC, validNanos);
        x.putInt(offset + ENTRY_ATTR_VALID_NSEC, validNanos);
        attributes(x, offset + ENTRY_ATTR, stat);
        return ENTRY_OUT;
    }

    /**
     * Tells the attributes of a file.
     *
     * @return the bytes of the reply, or {@code -errno}
     */
    int attributes(FuseExchange x, Inode inode) {
        FileStat stat = x.scratch().stat();
        int failed = stat.read(inode.fd());
        if (failed != 0) {
            return failed;
        }
        x.putLong(ATTR_OUT_VALID, validSeconds);
        x.putInt(ATTR_OUT_VALID_NSEC, validNanos);
        x.putInt(ATTR_OUT_DUMMY, 0);
        attributes(x, ATTR_OUT_ATTR, stat);
        return ATTR_OUT;
    }

    private static void attributes(FuseExchange x, int offset, FileStat stat) {
        x.putLong(offset + ATTR_INO, stat.ino());
        x.putLong(offset + ATTR_SIZE, stat.size());
        x.putLong(offset + ATTR_BLOCKS, stat.blocks());
        x.putLong(offset + ATTR_ATIME, stat.accessed());
        x.putLong(offset + ATTR_MTIME, stat.modified());
        x.putLong(offset + ATTR_CTIME, stat.changed());
        x.putInt(offset + ATTR_ATIMENSEC, stat.accessedNanos());
        x.putInt(offset + ATTR_MTIMENSEC, stat.modifiedNanos());
        x.putInt(offset + ATTR_CTIMENSEC, stat.changedNanos());
        x.putInt(offset + ATTR_MODE, stat.mode());
        x.putInt(offset + ATTR_NLINK, stat.links());
        x.putInt(offset + ATTR_UID, stat.user());
        x.putInt(offset + ATTR_GID, stat.group());
        x.putInt(offset + ATTR_RDEV, device(stat.specialMajor(), stat.specialMinor()));
        x.putInt(offset + ATTR_BLKSIZE, stat.blockSize());
        x.putInt(offset + ATTR_FLAGS, 0);
    }

    /** A device number in 32 bits (Linux, include/linux/kdev_t.h, {@code new_encode_dev}). */
    private static int device(int major, int minor) {
        return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12);
    }
}
