package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseLayout.COPY_FH_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.COPY_FH_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.COPY_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.COPY_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.COPY_LEN;
import static io.github.jkvm.virtio.fs.FuseLayout.COPY_OFF_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.COPY_OFF_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.FALLOCATE_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.FALLOCATE_LENGTH;
import static io.github.jkvm.virtio.fs.FuseLayout.FALLOCATE_MODE;
import static io.github.jkvm.virtio.fs.FuseLayout.FALLOCATE_OFFSET;
import static io.github.jkvm.virtio.fs.FuseLayout.FH;
import static io.github.jkvm.virtio.fs.FuseLayout.FSYNC_FDATASYNC;
import static io.github.jkvm.virtio.fs.FuseLayout.FSYNC_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.FSYNC_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.LSEEK_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.LSEEK_OFFSET;
import static io.github.jkvm.virtio.fs.FuseLayout.LSEEK_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.LSEEK_OUT_OFFSET;
import static io.github.jkvm.virtio.fs.FuseLayout.LSEEK_WHENCE;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_KILL_SUIDGID;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_OPEN_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_OUT_FH;
import static io.github.jkvm.virtio.fs.FuseLayout.OPEN_OUT_OPEN_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.READ_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.READ_OFFSET;
import static io.github.jkvm.virtio.fs.FuseLayout.READ_SIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.RELEASE_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.WRITE_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.WRITE_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.WRITE_KILL_SUIDGID;
import static io.github.jkvm.virtio.fs.FuseLayout.WRITE_OFFSET;
import static io.github.jkvm.virtio.fs.FuseLayout.WRITE_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.WRITE_OUT_SIZE;
import static io.github.jkvm.virtio.fs.FuseLayout.WRITE_SIZE;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileCalls;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OpenFlags;

/** Requests about an open file, and to open one. Each returns the bytes of its reply, or {@code -errno}. */
final class FileRequests {
    /** Most data of one request: what {@link FuseServer#MAX_PAGES} pages of 64 KiB hold, the largest of any architecture. */
    private static final long MOST_DATA = (long) FuseServer.MAX_PAGES << 16;

    /** Most bytes that one request copies from file to file; the guest asks again for the rest. */
    private static final long MOST_COPIED = 16L << 20;

    /** What FALLOCATE can be asked for beside allocating. */
    private static final int FALLOCATE_MODES =
            Libc.FALLOC_FL_KEEP_SIZE | Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_ZERO_RANGE;

    private final SharedFolder folder;
    private final HandleTable handles;

    FileRequests(SharedFolder folder, HandleTable handles) {
        this.folder = folder;
        this.handles = handles;
    }

    boolean isFull() {
        return handles.isFull();
    }

    int open(FuseExchange x, Inode file) {
        if (!x.hasArguments(OPEN_IN) || x.room() < OPEN_OUT) {
            return -Errno.EINVAL;
        }
        return openAt(x, file, 0, x.argumentInt(OPEN_FLAGS), x.argumentInt(OPEN_OPEN_FLAGS));
    }

    /** Opens a file and puts the reply at an offset. */
    int openAt(FuseExchange x, Inode file, int offset, int flags, int openFlags) {
        if (handles.isFull()) {
            return -Errno.ENFILE;
        }
        int fd = folder.open(file, flags, x.scratch());
        if (fd >= 0 && (flags & OpenFlags.O_TRUNC) != 0 && (openFlags & OPEN_KILL_SUIDGID) != 0) {
            folder.dropSetIdBits(fd, x.scratch());
        }
        return opened(x, offset, fd, file, flags);
    }

    /** Makes an open file a handle; takes it over. */
    int opened(FuseExchange x, int offset, int fd, Inode file, int flags) {
        if (fd < 0) {
            return fd;
        }
        long id = handles.open(new Handle(fd, Handle.Kind.FILE, file, flags));
        if (id == 0) {
            return -Errno.ENFILE;
        }
        x.clearReply(offset, OPEN_OUT);
        x.putLong(offset + OPEN_OUT_FH, id);
        x.putInt(offset + OPEN_OUT_OPEN_FLAGS, 0);
        return OPEN_OUT;
    }

    int release(FuseExchange x) {
        if (!x.hasArguments(RELEASE_IN)) {
            return -Errno.EINVAL;
        }
        handles.close(x.argumentLong(FH));
        return 0;
    }

    /** What an open file's request does with it. */
    private interface Use {
        int with(FuseExchange x, Handle handle);
    }

    private int use(FuseExchange x, int arguments, Use use) {
        return use(x, arguments, Handle.Kind.FILE, use);
    }

    private int use(FuseExchange x, int arguments, Handle.Kind kind, Use use) {
        if (!x.hasArguments(arguments)) {
            return -Errno.EINVAL;
        }
        Handle handle = handles.acquire(x.argumentLong(FH), kind);
        if (handle == null) {
            return -Errno.EBADF;
        }
        try {
            return use.with(x, handle);
        } finally {
            handles.release(handle);
        }
    }

    int read(FuseExchange x) {
        return use(x, READ_IN, FileRequests::readData);
    }

    private static int readData(FuseExchange x, Handle handle) {
        long size = Integer.toUnsignedLong(x.argumentInt(READ_SIZE));
        // Never less than asked for: the guest takes a short reply for the end of the file.
        if (size > MOST_DATA || size > x.room()) {
            return -Errno.EINVAL;
        }
        return (int) x.readData(handle.fd(), x.argumentLong(READ_OFFSET), size);
    }

    int write(FuseExchange x) {
        return use(x, WRITE_IN, this::writeData);
    }

    private int writeData(FuseExchange x, Handle handle) {
        long size = Integer.toUnsignedLong(x.argumentInt(WRITE_SIZE));
        if (size > MOST_DATA || size > x.dataBytes() || x.room() < WRITE_OUT) {
            return -Errno.EINVAL;
        }
        if (!handle.isWritable()) {
            return -Errno.EBADF;
        }
        if ((x.argumentInt(WRITE_FLAGS) & WRITE_KILL_SUIDGID) != 0) {
            folder.dropSetIdBits(handle.fd(), x.scratch());
        }
        long written = x.writeData(handle.fd(), x.argumentLong(WRITE_OFFSET), (int) size);
        return written < 0 ? (int) written : count(x, (int) written);
    }

    private static int count(FuseExchange x, int bytes) {
        x.clearReply(0, WRITE_OUT);
        x.putInt(WRITE_OUT_SIZE, bytes);
        return WRITE_OUT;
    }

    int sync(FuseExchange x) {
        return use(x, FSYNC_IN, FileRequests::sync);
    }

    int syncFolder(FuseExchange x) {
        return use(x, FSYNC_IN, Handle.Kind.FOLDER, FileRequests::sync);
    }

    private static int sync(FuseExchange x, Handle handle) {
        return (x.argumentInt(FSYNC_FLAGS) & FSYNC_FDATASYNC) != 0
                ? Libc.fdatasync(handle.fd())
                : FileCalls.fsync(handle.fd());
    }

    int allocate(FuseExchange x) {
        return use(x, FALLOCATE_IN, FileRequests::allocate);
    }

    private static int allocate(FuseExchange x, Handle handle) {
        int mode = x.argumentInt(FALLOCATE_MODE);
        if ((mode & ~FALLOCATE_MODES) != 0) {
            return -Errno.EOPNOTSUPP;
        }
        return Libc.fallocate(handle.fd(), mode, x.argumentLong(FALLOCATE_OFFSET), x.argumentLong(FALLOCATE_LENGTH));
    }

    int seek(FuseExchange x) {
        return use(x, LSEEK_IN, FileRequests::seek);
    }

    /** The descriptor's position changes with it, which nothing else looks at. */
    private static int seek(FuseExchange x, Handle handle) {
        int whence = x.argumentInt(LSEEK_WHENCE);
        if (whence != FileCalls.SEEK_DATA && whence != FileCalls.SEEK_HOLE) {
            return -Errno.EINVAL;
        }
        long found = Libc.lseek(handle.fd(), x.argumentLong(LSEEK_OFFSET), whence);
        if (found < 0) {
            return (int) found;
        }
        x.putLong(LSEEK_OUT_OFFSET, found);
        return LSEEK_OUT;
    }

    int copy(FuseExchange x) {
        if (!x.hasArguments(COPY_IN) || x.room() < WRITE_OUT || x.argumentLong(COPY_FLAGS) != 0) {
            return -Errno.EINVAL;
        }
        Handle from = handles.acquire(x.argumentLong(COPY_FH_IN), Handle.Kind.FILE);
        Handle to = handles.acquire(x.argumentLong(COPY_FH_OUT), Handle.Kind.FILE);
        try {
            return from == null || to == null ? -Errno.EBADF : copy(x, from, to);
        } finally {
            if (from != null) {
                handles.release(from);
            }
            if (to != null) {
                handles.release(to);
            }
        }
    }

    private static int copy(FuseExchange x, Handle from, Handle to) {
        long length = x.argumentLong(COPY_LEN);
        long copied = FileCalls.copy_file_range(
                from.fd(),
                x.scratch().offset(0, x.argumentLong(COPY_OFF_IN)),
                to.fd(),
                x.scratch().offset(1, x.argumentLong(COPY_OFF_OUT)),
                Long.compareUnsigned(length, MOST_COPIED) > 0 ? MOST_COPIED : length);
        return copied < 0 ? (int) copied : count(x, (int) copied);
    }
}
