package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseLayout.DIRENT;
import static io.github.jkvm.virtio.fs.FuseLayout.DIRENT_INO;
import static io.github.jkvm.virtio.fs.FuseLayout.DIRENT_NAME;
import static io.github.jkvm.virtio.fs.FuseLayout.DIRENT_NAMELEN;
import static io.github.jkvm.virtio.fs.FuseLayout.DIRENT_OFF;
import static io.github.jkvm.virtio.fs.FuseLayout.DIRENT_TYPE;
import static io.github.jkvm.virtio.fs.FuseLayout.ENTRY_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.FH;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_OUT_FH;
import static io.github.jkvm.virtio.fs.FuseLayout.READ_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.READ_OFFSET;
import static io.github.jkvm.virtio.fs.FuseLayout.READ_SIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.ROOT_ID;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileCalls;
import io.github.jkvm.kvm.ffi.Libc;
import java.lang.foreign.MemorySegment;

/** Requests to list folders. Each returns the bytes of its reply, or {@code -errno}. */
final class FolderRequests {
    // struct linux_dirent64 (Linux, include/linux/dirent.h)
    private static final int HOST_INO = 0;
    private static final int HOST_OFF = 8;
    private static final int HOST_RECLEN = 16;
    private static final int HOST_TYPE = 18;
    private static final int HOST_NAME = 19;

    /** Room for one entry of the host with the longest name, rounded up. */
    private static final int LEAST_READ = 512;

    private static final int SEEK_SET = 0;

    /** How a listing tells of each file. */
    private enum Form {
        /** Name, kind and number. */
        PLAIN(32),
        /** That and its attributes, with a reference to it. */
        PLUS(ENTRY_OUT + 32);

        /** Of an entry that takes {@link #LEAST_ENTRY} bytes of the host's; for longer names the two are closer to one another. */
        private final int bytes;

        Form(int bytes) {
            this.bytes = bytes;
        }
    }

    /** What the host's shortest entry takes. */
    private static final int LEAST_ENTRY = 24;

    private final SharedFolder folder;
    private final HandleTable handles;
    private final FuseReplies replies;

    FolderRequests(SharedFolder folder, HandleTable handles, FuseReplies replies) {
        this.folder = folder;
        this.handles = handles;
        this.replies = replies;
    }

    int open(FuseExchange x, Inode inode) {
        if (!x.hasArguments(OPEN_IN) || x.room() < OPEN_OUT) {
            return -Errno.EINVAL;
        }
        if (handles.isFull()) {
            return -Errno.ENFILE;
        }
        int fd = folder.openFolder(inode, x.scratch());
        if (fd < 0) {
            return fd;
        }
        long id = handles.open(new Handle(fd, Handle.Kind.FOLDER, inode, Libc.O_RDONLY));
        if (id == 0) {
            return -Errno.ENFILE;
        }
        x.clearReply(0, OPEN_OUT);
        x.putLong(OPEN_OUT_FH, id);
        return OPEN_OUT;
    }

    int list(FuseExchange x) {
        return list(x, Form.PLAIN);
    }

    int listPlus(FuseExchange x) {
        return list(x, Form.PLUS);
    }

    private int list(FuseExchange x, Form form) {
        if (!x.hasArguments(READ_IN)) {
            return -Errno.EINVAL;
        }
        Handle handle = handles.acquire(x.argumentLong(FH), Handle.Kind.FOLDER);
        if (handle == null) {
            return -Errno.EBADF;
        }
        try {
            long size = Integer.toUnsignedLong(x.argumentInt(READ_SIZE));
            return list(x, handle, (int) Math.min(size, x.replyRoom()), form);
        } finally {
            handles.release(handle);
        }
    }

    private int list(FuseExchange x, Handle handle, int room, Form form) {
        synchronized (handle) {
            // The position is the open folder's. It is not set without need: on file systems that only count entries
            // (tmpfs before
            // Linux 6.6), files would be passed over while others are being removed.
            long offset = x.argumentLong(READ_OFFSET);
            if (offset != handle.position()) {
                long moved = Libc.lseek(handle.fd(), offset, SEEK_SET);
                if (moved < 0) {
                    return (int) moved;
                }
                handle.moveTo(offset);
            }
            return read(x, handle, room, form);
        }
    }

    private int read(FuseExchange x, Handle handle, int room, Form form) {
        MemorySegment entries = x.scratch().entries();
        // No more than fits the reply whatever the names are, unless that would be too little for the longest.
        long wanted = Math.max((long) room * LEAST_ENTRY / form.bytes, LEAST_READ);
        long read = FileCalls.getdents64(handle.fd(), entries, Math.min(wanted, entries.byteSize()));
        if (read < 0) {
            return (int) read;
        }
        int used = 0;
        for (long at = 0; at < read; ) {
            int length = Short.toUnsignedInt(entries.get(JAVA_SHORT_UNALIGNED, at + HOST_RECLEN));
            MemorySegment entry = entries.asSlice(at, length);
            int added = add(x, handle, used, room, entry, form);
            if (added == 0) {
                handle.lost();
                break;
            }
            handle.moveTo(entry.get(JAVA_LONG_UNALIGNED, HOST_OFF));
            used += added;
            at += length;
        }
        // Nothing at all would be the end of the folder.
        return used == 0 && read > 0 ? -Errno.EINVAL : used;
    }

    /** Adds one entry. Returns its bytes, or 0 if there is too little room. */
    private int add(FuseExchange x, Handle handle, int used, int room, MemorySegment entry, Form form) {
        int nameBytes = 0;
        while (entry.get(JAVA_BYTE, HOST_NAME + nameBytes) != 0) {
            nameBytes++;
        }
        int before = form == Form.PLUS ? ENTRY_OUT : 0;
        int bytes = FuseLayout.aligned(before + DIRENT + nameBytes);
        if (bytes > room - used) {
            return 0;
        }
        MemorySegment name = entry.asSlice(HOST_NAME, nameBytes + 1);
        x.clearReply(used, bytes);
        boolean isAbove = nameBytes == 2 && isDots(name, nameBytes);
        if (form == Form.PLUS && !isDots(name, nameBytes)) {
            // A file that is gone by now, or that can't be known, is listed with no more than its name, which number 0
            // tells.
            if (replies.lookupAt(x, used, handle.inode(), name) < 0) {
                x.clearReply(used, ENTRY_OUT);
            }
        }
        int at = used + before;
        // What is above the root is not the guest's to know: there the root is its own parent.
        Inode inode = handle.inode();
        long number = isAbove && inode.id == ROOT_ID ? inode.number() : entry.get(JAVA_LONG_UNALIGNED, HOST_INO);
        x.putLong(at + DIRENT_INO, number);
        x.putLong(at + DIRENT_OFF, entry.get(JAVA_LONG_UNALIGNED, HOST_OFF));
        x.putInt(at + DIRENT_NAMELEN, nameBytes);
        x.putInt(at + DIRENT_TYPE, entry.get(JAVA_BYTE, HOST_TYPE));
        MemorySegment.copy(name, 0, x.replyBytes(at + DIRENT_NAME, nameBytes), 0, nameBytes);
        return bytes;
    }

    private static boolean isDots(MemorySegment name, int length) {
        return length <= 2 && name.get(JAVA_BYTE, 0) == '.' && name.get(JAVA_BYTE, length - 1) == '.';
    }
}
