package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseLayout.BATCH_FORGET_COUNT;
import static io.github.jkvm.virtio.fs.FuseLayout.BATCH_FORGET_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.FORGET_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.FORGET_NLOOKUP;
import static io.github.jkvm.virtio.fs.FuseLayout.FORGET_ONE;
import static io.github.jkvm.virtio.fs.FuseLayout.FORGET_ONE_NLOOKUP;
import static io.github.jkvm.virtio.fs.FuseLayout.FORGET_ONE_NODEID;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_IN;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_IN_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_IN_MAJOR;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_IN_MAX_READAHEAD;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_IN_MINOR;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_OUT;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_OUT_CONGESTION_THRESHOLD;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_OUT_FLAGS;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_OUT_MAJOR;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_OUT_MAX_BACKGROUND;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_OUT_MAX_PAGES;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_OUT_MAX_READAHEAD;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_OUT_MAX_WRITE;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_OUT_MINOR;
import static io.github.jkvm.virtio.fs.FuseLayout.INIT_OUT_TIME_GRAN;

import io.github.jkvm.DeviceState;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileStat;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OpenFlags;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;

/**
 * Serves one folder of the host by the FUSE protocol (Linux, include/uapi/linux/fuse.h): a request's bytes in, the reply's bytes out.
 *
 * <p>Knows nothing of queues. Many threads may serve requests at the same time, each with an exchange of its own. A request that
 * makes no sense is answered with an error; the guest is never trusted and never the cause of an exception.
 */
final class FuseServer implements AutoCloseable {
    /** Most pages of data in one request, which the guest's kernel is told. */
    static final int MAX_PAGES = 256;

    /** Most data in one WRITE, which the guest's kernel is told: so many pages of 4 KiB. */
    static final int MAX_WRITE = MAX_PAGES << 12;

    /** Requests that the guest's kernel makes ahead of need at a time, and from how many on it holds back. */
    private static final int MAX_BACKGROUND = 64;

    private static final int CONGESTION_THRESHOLD = 48;

    /** What is used of the protocol, where the guest's kernel offers it. */
    private static final int FEATURES = FuseLayout.ASYNC_READ
            | FuseLayout.ATOMIC_O_TRUNC
            | FuseLayout.BIG_WRITES
            | FuseLayout.AUTO_INVAL_DATA
            | FuseLayout.DO_READDIRPLUS
            | FuseLayout.READDIRPLUS_AUTO
            | FuseLayout.ASYNC_DIO
            | FuseLayout.PARALLEL_DIROPS
            | FuseLayout.MAX_PAGES
            | FuseLayout.HANDLE_KILLPRIV_V2;

    /** In the place of a result: the request has no reply. */
    private static final int NO_REPLY = Integer.MIN_VALUE;

    private final InodeTable inodes;
    private final HandleTable handles;
    private final FuseReplies replies;
    private final NameRequests names;
    private final FileRequests files;
    private final FolderRequests folders;
    private final AttributeRequests attributes;
    private final ExtendedAttributeRequests extendedAttributes;
    private final SharedFolder folder;
    private final SavedSession session;
    private volatile boolean started;

    /**
     * Opens a folder.
     *
     * @param path the folder; a link that it leads through is followed once, now
     * @param options how it is shared
     * @throws IOException if it can't be opened, or the host lacks what keeps a guest inside
     */
    FuseServer(Path path, FsOptions options) throws IOException {
        folder = new SharedFolder(options);
        try (Arena arena = Arena.ofConfined()) {
            inodes = openRoot(arena, path, options);
        }
        handles = new HandleTable(options.maxOpenFiles(), inodes);
        replies = new FuseReplies(folder, inodes, options.cacheTime());
        files = new FileRequests(folder, handles);
        names = new NameRequests(folder, inodes, replies, files);
        folders = new FolderRequests(folder, handles, replies);
        attributes = new AttributeRequests(folder, handles, replies);
        extendedAttributes = new ExtendedAttributeRequests(folder);
        session = new SavedSession(folder, inodes, handles);
    }

    private InodeTable openRoot(Arena arena, Path path, FsOptions options) throws IOException {
        int fd = Libc.open(
                arena.allocateFrom(path.toAbsolutePath().toString()),
                OpenFlags.O_PATH | OpenFlags.O_DIRECTORY | Libc.O_CLOEXEC,
                0);
        if (fd < 0) {
            throw new IOException("can't share the folder " + path + " (" + Errno.name(-fd) + ")");
        }
        var scratch = new HostScratch(arena);
        FileStat stat = scratch.stat();
        int failed = folder.probe(fd, scratch);
        failed = failed != 0 ? failed : stat.read(fd);
        if (failed != 0) {
            Libc.close(fd);
            throw new IOException("can't share the folder " + path + " (" + Errno.name(-failed)
                    + "): openat2 (Linux 5.8 or later, not blocked by a container) and /proc are needed");
        }
        return new InodeTable(folder, options.maxFiles(), options.cachedDescriptors(), fd, stat);
    }

    /**
     * Serves a request.
     *
     * @param x what to work with
     * @param readable the request, in guest memory
     * @param writable the room for the reply, in guest memory
     * @return how many bytes of the room were written
     */
    long serve(FuseExchange x, List<MemorySegment> readable, List<MemorySegment> writable) {
        int result = x.receive(readable, writable);
        if (result == FuseExchange.NO_HEADER) {
            return 0;
        }
        if (result == 0) {
            result = perform(x);
        }
        if (result == NO_REPLY) {
            return 0;
        }
        // To the guest the two limits, of a process and of a system, are one.
        return x.send(result == -Errno.EMFILE ? -Errno.ENFILE : result);
    }

    /**
     * Writes down what the guest knows and has open. No request may be under way.
     *
     * @throws IllegalStateException if it is too much
     */
    void save(DeviceState state) {
        state.putNumber("started", started ? 1 : 0);
        session.save(state);
    }

    /**
     * Takes over what {@link #save} wrote. What is no longer where it was, the guest has lost.
     *
     * @throws IllegalArgumentException if the state makes no sense
     */
    void restore(DeviceState state) {
        reset();
        session.restore(state);
        started = state.number("started", 0, 1) == 1;
    }

    /** Begins anew: what the guest knew and had open is gone. Requests under way may still end. */
    void reset() {
        started = false;
        handles.closeAll();
        inodes.forgetAll();
    }

    /** Returns how many files the guest knows, the root among them. */
    int knownFiles() {
        return inodes.size();
    }

    /** Returns how many descriptors there are of files that no request uses and the guest has not open, that of the root among them. */
    int idleDescriptors() {
        return inodes.idleDescriptors();
    }

    /** Returns how many files and folders the guest has open. */
    int openFiles() {
        return handles.size();
    }

    /** Closes all of the host's files. No request may be under way. */
    @Override
    public void close() {
        handles.closeAll();
        inodes.close();
    }

    private int perform(FuseExchange x) {
        return switch (x.opcode()) {
            case FuseLayout.INIT -> start(x);
            case FuseLayout.DESTROY -> {
                reset();
                yield 0;
            }
            case FuseLayout.FORGET -> forget(x);
            case FuseLayout.BATCH_FORGET -> forgetMany(x);
            // What a request does here ends by itself. The guest's kernel does not ask again after this answer.
            case FuseLayout.INTERRUPT -> -Errno.ENOSYS;
            default -> started ? performOnHandle(x) : -Errno.EIO;
        };
    }

    /** A handle says all; it counts for nothing which file the guest says that it is one of. */
    private int performOnHandle(FuseExchange x) {
        return switch (x.opcode()) {
            case FuseLayout.READ -> files.read(x);
            case FuseLayout.WRITE -> files.write(x);
            case FuseLayout.RELEASE, FuseLayout.RELEASEDIR -> files.release(x);
            case FuseLayout.FSYNC -> files.sync(x);
            case FuseLayout.FALLOCATE -> files.allocate(x);
            case FuseLayout.LSEEK -> files.seek(x);
            case FuseLayout.COPY_FILE_RANGE -> files.copy(x);
            case FuseLayout.READDIR -> folders.list(x);
            case FuseLayout.READDIRPLUS -> folders.listPlus(x);
            case FuseLayout.FSYNCDIR -> files.syncFolder(x);
            default -> performOnFile(x);
        };
    }

    private int performOnFile(FuseExchange x) {
        Inode inode = inodes.acquire(x.node(), x.scratch());
        if (inode == null) {
            return x.scratch().failure();
        }
        try {
            return performOn(x, inode);
        } finally {
            inodes.release(inode);
        }
    }

    private int performOn(FuseExchange x, Inode inode) {
        return switch (x.opcode()) {
            case FuseLayout.LOOKUP -> names.lookup(x, inode);
            case FuseLayout.GETATTR -> attributes.get(x, inode);
            case FuseLayout.SETATTR -> attributes.set(x, inode);
            case FuseLayout.READLINK -> attributes.readLink(x, inode);
            case FuseLayout.SYMLINK -> names.makeLink(x, inode);
            case FuseLayout.MKNOD -> names.makeNode(x, inode);
            case FuseLayout.MKDIR -> names.makeFolder(x, inode);
            case FuseLayout.UNLINK -> names.unlink(x, inode);
            case FuseLayout.RMDIR -> names.removeFolder(x, inode);
            case FuseLayout.RENAME -> names.rename(x, inode);
            case FuseLayout.RENAME2 -> names.rename2(x, inode);
            case FuseLayout.LINK -> names.link(x, inode);
            case FuseLayout.CREATE -> names.create(x, inode);
            case FuseLayout.OPEN -> files.open(x, inode);
            case FuseLayout.OPENDIR -> folders.open(x, inode);
            case FuseLayout.STATFS -> attributes.fileSystem(x, inode);
            case FuseLayout.ACCESS -> attributes.checkAccess(x, inode);
            case FuseLayout.SETXATTR -> extendedAttributes.set(x, inode);
            case FuseLayout.GETXATTR -> extendedAttributes.get(x, inode);
            case FuseLayout.LISTXATTR -> extendedAttributes.list(x, inode);
            case FuseLayout.REMOVEXATTR -> extendedAttributes.remove(x, inode);
            case FuseLayout.SYNCFS -> folder.sync(inode, x.scratch());
            // The guest's kernel does these by itself, or without, once it has been told so.
            default -> -Errno.ENOSYS;
        };
    }

    /** Agrees on a version and on what is used of it. A guest that begins anew has forgotten all it knew. */
    private int start(FuseExchange x) {
        if (!x.hasArguments(INIT_IN) || x.room() < INIT_OUT) {
            return -Errno.EINVAL;
        }
        int major = x.argumentInt(INIT_IN_MAJOR);
        int minor = x.argumentInt(INIT_IN_MINOR);
        x.clearReply(0, INIT_OUT);
        x.putInt(INIT_OUT_MAJOR, FuseLayout.MAJOR);
        x.putInt(INIT_OUT_MINOR, FuseLayout.MINOR);
        if (Integer.compareUnsigned(major, FuseLayout.MAJOR) > 0) {
            // A kernel that speaks a later version asks again in this one.
            return INIT_OUT;
        }
        if (major != FuseLayout.MAJOR || Integer.compareUnsigned(minor, FuseLayout.OLDEST_MINOR) < 0) {
            return -Errno.EPROTO;
        }
        reset();
        x.putInt(INIT_OUT_MAX_READAHEAD, x.argumentInt(INIT_IN_MAX_READAHEAD));
        x.putInt(INIT_OUT_FLAGS, x.argumentInt(INIT_IN_FLAGS) & FEATURES);
        x.putShort(INIT_OUT_MAX_BACKGROUND, MAX_BACKGROUND);
        x.putShort(INIT_OUT_CONGESTION_THRESHOLD, CONGESTION_THRESHOLD);
        x.putInt(INIT_OUT_MAX_WRITE, MAX_WRITE);
        // Times are told in nanoseconds.
        x.putInt(INIT_OUT_TIME_GRAN, 1);
        x.putShort(INIT_OUT_MAX_PAGES, MAX_PAGES);
        started = true;
        return INIT_OUT;
    }

    private int forget(FuseExchange x) {
        if (x.hasArguments(FORGET_IN)) {
            inodes.forget(x.node(), x.argumentLong(FORGET_NLOOKUP));
        }
        return NO_REPLY;
    }

    private int forgetMany(FuseExchange x) {
        long count = x.hasArguments(BATCH_FORGET_IN) ? Integer.toUnsignedLong(x.argumentInt(BATCH_FORGET_COUNT)) : 0;
        // As many as there are, whatever the count says.
        count = Math.min(count, (x.argumentBytes() - BATCH_FORGET_IN) / FORGET_ONE);
        for (int i = 0; i < count; i++) {
            int at = BATCH_FORGET_IN + i * FORGET_ONE;
            inodes.forget(x.argumentLong(at + FORGET_ONE_NODEID), x.argumentLong(at + FORGET_ONE_NLOOKUP));
        }
        return NO_REPLY;
    }
}
