package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseLayout.ACCESS_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.ACCESS_MASK;
import static io.github.jkvm.virtio.fs.FuseLayout.ATTR_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.FATTR_ATIME;
import static io.github.jkvm.virtio.fs.FuseLayout.FATTR_ATIME_NOW;
import static io.github.jkvm.virtio.fs.FuseLayout.FATTR_FH;
import static io.github.jkvm.virtio.fs.FuseLayout.FATTR_GID;
import static io.github.jkvm.virtio.fs.FuseLayout.FATTR_KILL_SUIDGID;
import static io.github.jkvm.virtio.fs.FuseLayout.FATTR_MODE;
import static io.github.jkvm.virtio.fs.FuseLayout.FATTR_MTIME;
import static io.github.jkvm.virtio.fs.FuseLayout.FATTR_MTIME_NOW;
import static io.github.jkvm.virtio.fs.FuseLayout.FATTR_SIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.FATTR_UID;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_ATIME;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_ATIMENSEC;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_FH;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_GID;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_MODE;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_MTIME;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_MTIMENSEC;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_SIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_UID;
import static io.github.jkvm.virtio.fs.FuseLayout.SETATTR_VALID;
import static io.github.jkvm.virtio.fs.FuseLayout.STATFS_BAVAIL;
import static io.github.jkvm.virtio.fs.FuseLayout.STATFS_BFREE;
import static io.github.jkvm.virtio.fs.FuseLayout.STATFS_BLOCKS;
import static io.github.jkvm.virtio.fs.FuseLayout.STATFS_BSIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.STATFS_FFREE;
import static io.github.jkvm.virtio.fs.FuseLayout.STATFS_FILES;
import static io.github.jkvm.virtio.fs.FuseLayout.STATFS_FRSIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.STATFS_NAMELEN;
import static io.github.jkvm.virtio.fs.FuseLayout.STATFS_OUT;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileSystemStat;
import io.github.jkvm.kvm.ffi.Libc;
import java.lang.foreign.MemorySegment;

/** Requests about what a file is: its attributes and, of a link, its target. Each returns the bytes of its reply, or {@code -errno}. */
final class AttributeRequests {
    private static final int UNCHANGED = -1;

    private final SharedFolder folder;
    private final HandleTable handles;
    private final FuseReplies replies;

    AttributeRequests(SharedFolder folder, HandleTable handles, FuseReplies replies) {
        this.folder = folder;
        this.handles = handles;
        this.replies = replies;
    }

    /** The guest may name a handle too, which is of the same file. */
    int get(FuseExchange x, Inode file) {
        return replies.attributes(x, file);
    }

    int set(FuseExchange x, Inode file) {
        if (!x.hasArguments(SETATTR_IN) || x.room() < ATTR_OUT) {
            return -Errno.EINVAL;
        }
        int valid = x.argumentInt(SETATTR_VALID);
        // The owner first, since a change of it takes set-id bits away; the times last, since a change of size sets
        // them.
        int failed = setOwner(x, file, valid);
        if (failed == 0 && (valid & FATTR_MODE) != 0) {
            failed = folder.changeMode(file, x.argumentInt(SETATTR_MODE), x.scratch());
        }
        if (failed == 0 && (valid & FATTR_SIZE) != 0) {
            failed = setSize(x, file, valid);
        }
        if (failed == 0) {
            failed = setTimes(x, file, valid);
        }
        return failed != 0 ? failed : replies.attributes(x, file);
    }

    private int setOwner(FuseExchange x, Inode file, int valid) {
        if ((valid & (FATTR_UID | FATTR_GID)) == 0) {
            return 0;
        }
        int user = (valid & FATTR_UID) != 0 ? x.argumentInt(SETATTR_UID) : UNCHANGED;
        int group = (valid & FATTR_GID) != 0 ? x.argumentInt(SETATTR_GID) : UNCHANGED;
        return folder.changeOwner(file, user, group, x.scratch());
    }

    private int setSize(FuseExchange x, Inode file, int valid) {
        long size = x.argumentLong(SETATTR_SIZE);
        // Through the guest's handle if there is one: the file's mode by now may forbid to open it again.
        Handle handle = (valid & FATTR_FH) != 0 ? handles.acquire(x.argumentLong(SETATTR_FH), Handle.Kind.FILE) : null;
        if (handle == null) {
            return truncated(x, file, valid, folder.changeSize(file, size, x.scratch()));
        }
        try {
            return truncated(
                    x,
                    file,
                    valid,
                    handle.isWritable()
                            ? Libc.ftruncate(handle.fd(), size)
                            : folder.changeSize(file, size, x.scratch()));
        } finally {
            handles.release(handle);
        }
    }

    private int truncated(FuseExchange x, Inode file, int valid, int result) {
        if (result == 0 && (valid & FATTR_KILL_SUIDGID) != 0) {
            folder.dropSetIdBits(file.fd(), x.scratch());
        }
        return result;
    }

    private int setTimes(FuseExchange x, Inode file, int valid) {
        if ((valid & (FATTR_ATIME | FATTR_MTIME)) == 0) {
            return 0;
        }
        MemorySegment times = x.scratch()
                .times(
                        x.argumentLong(SETATTR_ATIME),
                        nanos(valid, FATTR_ATIME, FATTR_ATIME_NOW, x.argumentInt(SETATTR_ATIMENSEC)),
                        x.argumentLong(SETATTR_MTIME),
                        nanos(valid, FATTR_MTIME, FATTR_MTIME_NOW, x.argumentInt(SETATTR_MTIMENSEC)));
        return folder.changeTimes(file, times, x.scratch());
    }

    private static long nanos(int valid, int set, int setToNow, int value) {
        if ((valid & set) == 0) {
            return HostScratch.TIME_OMIT;
        }
        return (valid & setToNow) != 0 ? HostScratch.TIME_NOW : Integer.toUnsignedLong(value);
    }

    int checkAccess(FuseExchange x, Inode file) {
        return x.hasArguments(ACCESS_IN)
                ? folder.checkAccess(file, x.argumentInt(ACCESS_MASK), x.scratch())
                : -Errno.EINVAL;
    }

    int readLink(FuseExchange x, Inode link) {
        int room = x.replyRoom();
        return room <= 0 ? -Errno.EINVAL : folder.readLink(link, x.replyBytes(0, room), x.scratch());
    }

    /** How full the file system is that the folder is in. */
    int fileSystem(FuseExchange x, Inode inode) {
        FileSystemStat stat = x.scratch().fileSystem();
        int failed = stat.read(inode.fd());
        if (failed != 0) {
            return failed;
        }
        x.clearReply(0, STATFS_OUT);
        x.putLong(STATFS_BLOCKS, stat.blocks());
        x.putLong(STATFS_BFREE, stat.free());
        x.putLong(STATFS_BAVAIL, stat.available());
        x.putLong(STATFS_FILES, stat.files());
        x.putLong(STATFS_FFREE, stat.freeFiles());
        x.putInt(STATFS_BSIZE, (int) stat.blockSize());
        x.putInt(STATFS_NAMELEN, (int) stat.nameLength());
        x.putInt(STATFS_FRSIZE, (int) stat.fragmentSize());
        return STATFS_OUT;
    }
}
