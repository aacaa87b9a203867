package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseLayout.CREATE_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.CREATE_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.CREATE_MODE;
import static io.github.jkvm.virtio.fs.FuseLayout.CREATE_OPEN_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_NODEID;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.LINK_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.LINK_OLDNODEID;
import static io.github.jkvm.virtio.fs.FuseLayout.MKDIR_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.MKDIR_MODE;
import static io.github.jkvm.virtio.fs.FuseLayout.MKNOD_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.MKNOD_MODE;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.RENAME2_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.RENAME2_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.RENAME_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.RENAME_NEWDIR;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OpenFlags;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Requests about a name in a folder: to find, make, move and remove files. Each returns the bytes of its reply, or {@code -errno}.
 */
final class NameRequests {
    private final SharedFolder folder;
    private final InodeTable inodes;
    private final FuseReplies replies;
    private final FileRequests files;

    NameRequests(SharedFolder folder, InodeTable inodes, FuseReplies replies, FileRequests files) {
        this.folder = folder;
        this.inodes = inodes;
        this.replies = replies;
        this.files = files;
    }

    int lookup(FuseExchange x, Inode parent) {
        MemorySegment name = x.text(0);
        int refused = FileNames.check(name);
        if (refused != 0 || name == null) {
            return refused;
        }
        // Not refused if the table is full: the file may be one that is there.
        return x.room() < ENTRY_OUT ? -Errno.EINVAL : replies.lookup(x, parent, name);
    }

    int makeFolder(FuseExchange x, Inode parent) {
        if (!x.hasArguments(MKDIR_IN)) {
            return -Errno.EINVAL;
        }
        MemorySegment name = x.text(MKDIR_IN);
        int refused = refusal(x, name, ENTRY_OUT);
        if (refused != 0 || name == null) {
            return refused;
        }
        int mode = x.argumentInt(MKDIR_MODE);
        int fd = folder.makeFolder(parent.fd(), name, mode, owner(x), x.scratch());
        return replies.entry(x, fd, parent, name);
    }

    int makeNode(FuseExchange x, Inode parent) {
        if (!x.hasArguments(MKNOD_IN)) {
            return -Errno.EINVAL;
        }
        MemorySegment name = x.text(MKNOD_IN);
        int refused = refusal(x, name, ENTRY_OUT);
        if (refused != 0 || name == null) {
            return refused;
        }
        int mode = x.argumentInt(MKNOD_MODE);
        int fd = folder.makeNode(parent.fd(), name, mode, owner(x), x.scratch());
        return replies.entry(x, fd, parent, name);
    }

    int makeLink(FuseExchange x, Inode parent) {
        MemorySegment name = x.text(0);
        int refused = refusal(x, name, ENTRY_OUT);
        if (refused != 0 || name == null) {
            return refused;
        }
        MemorySegment target = x.text((int) name.byteSize());
        if (target == null) {
            return -Errno.EINVAL;
        }
        int fd = folder.makeLink(parent.fd(), name, target, owner(x), x.scratch());
        return replies.entry(x, fd, parent, name);
    }

    int link(FuseExchange x, Inode parent) {
        if (!x.hasArguments(LINK_IN)) {
            return -Errno.EINVAL;
        }
        MemorySegment name = x.text(LINK_IN);
        int refused = FileNames.check(name);
        if (refused != 0 || name == null) {
            return refused;
        }
        if (x.room() < ENTRY_OUT) {
            return -Errno.EINVAL;
        }
        Inode file = inodes.acquire(x.argumentLong(LINK_OLDNODEID), x.scratch());
        if (file == null) {
            return x.scratch().failure();
        }
        try {
            int failed = folder.link(file, parent.fd(), name, x.scratch());
            return failed != 0 ? failed : replies.lookup(x, parent, name);
        } finally {
            inodes.release(file);
        }
    }

    int unlink(FuseExchange x, Inode parent) {
        MemorySegment name = x.text(0);
        int refused = FileNames.check(name);
        return refused != 0 || name == null ? refused : folder.unlink(parent.fd(), name);
    }

    int removeFolder(FuseExchange x, Inode parent) {
        MemorySegment name = x.text(0);
        int refused = FileNames.check(name);
        return refused != 0 || name == null ? refused : folder.removeFolder(parent.fd(), name);
    }

    int rename(FuseExchange x, Inode parent) {
        return x.hasArguments(RENAME_IN) ? rename(x, parent, RENAME_IN, 0) : -Errno.EINVAL;
    }

    int rename2(FuseExchange x, Inode parent) {
        return x.hasArguments(RENAME2_IN) ? rename(x, parent, RENAME2_IN, x.argumentInt(RENAME2_FLAGS)) : -Errno.EINVAL;
    }

    private int rename(FuseExchange x, Inode parent, int names, int flags) {
        MemorySegment name = x.text(names);
        int refused = FileNames.check(name);
        if (refused != 0 || name == null) {
            return refused;
        }
        MemorySegment newName = x.text(names + (int) name.byteSize());
        refused = FileNames.check(newName);
        if (refused != 0 || newName == null) {
            return refused;
        }
        Inode newParent = inodes.acquire(x.argumentLong(RENAME_NEWDIR), x.scratch());
        if (newParent == null) {
            return x.scratch().failure();
        }
        try {
            return inodes.rename(parent, name, newParent, newName, flags, x.scratch());
        } finally {
            inodes.release(newParent);
        }
    }

    /** Makes a regular file and opens it; opens the one that is there if the guest did not ask for a new one. */
    int create(FuseExchange x, Inode parent) {
        if (!x.hasArguments(CREATE_IN)) {
            return -Errno.EINVAL;
        }
        MemorySegment name = x.text(CREATE_IN);
        int refused = refusal(x, name, ENTRY_OUT + OPEN_OUT);
        if (refused != 0 || name == null) {
            return refused;
        }
        if (files.isFull()) {
            return -Errno.ENFILE;
        }
        HostScratch scratch = x.scratch();
        int flags = x.argumentInt(CREATE_FLAGS);
        int fd = folder.create(parent.fd(), name, flags, x.argumentInt(CREATE_MODE), owner(x), scratch);
        boolean mayExist = (flags & OpenFlags.O_EXCL) == 0;
        if (mayExist && (fd == -Errno.EEXIST || fd == -Errno.EROFS)) {
            return openExisting(x, parent, name, flags);
        }
        if (fd < 0) {
            return fd;
        }
        int entry = replies.entry(x, folder.placeOf(fd, scratch), parent, name);
        Inode file = entry < 0 ? null : inodes.acquire(x.replyLong(ENTRY_NODEID), scratch);
        if (file == null) {
            Libc.close(fd);
            return entry < 0 ? entry : opened(x, scratch.failure());
        }
        try {
            return opened(x, files.opened(x, ENTRY_OUT, fd, file, flags));
        } finally {
            inodes.release(file);
        }
    }

    private int openExisting(FuseExchange x, Inode parent, MemorySegment name, int flags) {
        int entry = replies.lookup(x, parent, name);
        if (entry < 0) {
            // In a folder that is shared for reading, a file that is missing is one that can't be made.
            return entry == -Errno.ENOENT && folder.isReadOnly() ? -Errno.EROFS : entry;
        }
        Inode file = inodes.acquire(x.replyLong(ENTRY_NODEID), x.scratch());
        if (file == null) {
            return opened(x, x.scratch().failure());
        }
        try {
            return opened(x, files.openAt(x, file, ENTRY_OUT, flags, x.argumentInt(CREATE_OPEN_FLAGS)));
        } finally {
            inodes.release(file);
        }
    }

    /** The reply of CREATE; if the file can't be opened, the guest does not get the reference that comes with it. */
    private int opened(FuseExchange x, int result) {
        if (result < 0) {
            inodes.forget(x.replyLong(ENTRY_NODEID), 1);
            return result;
        }
        return ENTRY_OUT + result;
    }

    private int refusal(FuseExchange x, @Nullable MemorySegment name, int replyBytes) {
        int refused = FileNames.check(name);
        return refused != 0 ? refused : replies.refusal(x, replyBytes);
    }

    private static Owner owner(FuseExchange x) {
        return new Owner(x.user(), x.group());
    }
}
