package io.github.jkvm.virtio.fs;

import static io.github.jkvm.kvm.ffi.PathCalls.AT_EMPTY_PATH;
import static io.github.jkvm.kvm.ffi.PathCalls.AT_FDCWD;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileCalls;
import io.github.jkvm.kvm.ffi.FileStat;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OpenFlags;
import io.github.jkvm.kvm.ffi.OpenHow;
import io.github.jkvm.kvm.ffi.PathCalls;
import io.github.jkvm.virtio.fs.FsOptions.Access;
import io.github.jkvm.virtio.fs.FsOptions.SetIdBits;
import java.lang.foreign.MemorySegment;

/**
 * Operations on files beneath one folder of the host, none of which reaches a file elsewhere or changes one of a folder that is shared for
 * reading.
 *
 * <p>What keeps them inside: a file is found by names beneath a folder that was found before; none of the names is a link to elsewhere,
 * since the host is asked to follow none and to stay beneath the folder and in its mount; and what was found is a descriptor, which a
 * rename by the guest or the host does not make that of another file, for as long as a request works on it or the guest has it open. A
 * file's data is opened through that descriptor, and only if it is a regular file.
 *
 * <p>Each operation returns 0 or a descriptor, or {@code -errno}. Names end with NUL and must be checked ({@link FileNames}). Safe for use by
 * many threads, each with its own scratch memory.
 */
final class SharedFolder {
    private static final long BENEATH = OpenHow.RESOLVE_BENEATH
            | OpenHow.RESOLVE_NO_SYMLINKS
            | OpenHow.RESOLVE_NO_MAGICLINKS
            | OpenHow.RESOLVE_NO_XDEV;

    /** What of a guest's open flags counts here. The numbers are the same on every architecture. */
    private static final int GUEST_FLAGS =
            OpenFlags.O_ACCMODE | OpenFlags.O_TRUNC | OpenFlags.O_APPEND | OpenFlags.O_DSYNC | OpenFlags.O_SYNC;

    private static final int ALWAYS = Libc.O_CLOEXEC | OpenFlags.O_NOFOLLOW;

    /** Fail if there is a file of the new name (Linux, include/uapi/linux/fs.h). */
    static final int RENAME_NOREPLACE = 1;

    /** Give each of two files the name of the other (as above). */
    static final int RENAME_EXCHANGE = 2;

    /** A whiteout would be a device node. */
    private static final int RENAME_FLAGS = RENAME_NOREPLACE | RENAME_EXCHANGE;

    /** What a file is made with, before it gets its whole mode. */
    private static final int ACCESS_BITS = 0777;

    private static final int UNCHANGED = -1;

    private final boolean readOnly;
    private final boolean keepsSetIdBits;
    private final boolean givesAway;

    /** Number of the mount that the folder is in. */
    private long mount;

    SharedFolder(FsOptions options) {
        readOnly = options.access() == Access.READ_ONLY;
        keepsSetIdBits = options.setIdBits() == SetIdBits.KEPT;
        givesAway = FileCalls.geteuid() == 0;
    }

    boolean isReadOnly() {
        return readOnly;
    }

    /** Tells whether the host can do what keeps a guest inside. Comes before all else. */
    int probe(int root, HostScratch scratch) {
        FileStat stat = scratch.stat();
        int failed = stat.read(root);
        mount = stat.mount();
        if (failed != 0 || mount < 0) {
            return failed != 0 ? failed : -Errno.ENOSYS;
        }
        int place = placeOf(root, scratch);
        if (place < 0) {
            return place;
        }
        Libc.close(place);
        int fd = scratch.how().open(root, scratch.dot(), ALWAYS | OpenFlags.O_PATH, 0, BENEATH);
        if (fd < 0) {
            return fd;
        }
        Libc.close(fd);
        return 0;
    }

    /** Reads the attributes of a file in a folder, without opening anything. */
    int look(int folder, MemorySegment name, FileStat stat) {
        int failed = stat.read(folder, name);
        return failed == 0 && stat.mount() != mount ? -Errno.EXDEV : failed;
    }

    /** Finds a file, as a place. */
    int find(int folder, MemorySegment name, HostScratch scratch) {
        return scratch.how().open(folder, name, ALWAYS | OpenFlags.O_PATH, 0, BENEATH);
    }

    /** Opens a regular file that was found. */
    int open(Inode file, int guestFlags, HostScratch scratch) {
        int refused = refusedOpen(file, guestFlags);
        return refused != 0 ? refused : reopen(file.fd(), guestFlags & GUEST_FLAGS, scratch);
    }

    private int refusedOpen(Inode file, int guestFlags) {
        if (readOnly && isChange(guestFlags)) {
            return -Errno.EROFS;
        }
        return switch (file.kind()) {
            case FileStat.S_IFREG -> 0;
            case FileStat.S_IFDIR -> -Errno.EISDIR;
            case FileStat.S_IFLNK -> -Errno.ELOOP;
            // The guest's kernel opens what a special file stands for itself. On the host it could block or do
            // anything.
            default -> -Errno.EACCES;
        };
    }

    private static boolean isChange(int guestFlags) {
        return (guestFlags & OpenFlags.O_ACCMODE) != Libc.O_RDONLY || (guestFlags & OpenFlags.O_TRUNC) != 0;
    }

    /** Opens a folder that was found, to list it. */
    int openFolder(Inode folder, HostScratch scratch) {
        return folder.kind() == FileStat.S_IFDIR
                ? reopen(folder.fd(), Libc.O_RDONLY | OpenFlags.O_DIRECTORY, scratch)
                : -Errno.ENOTDIR;
    }

    private static int reopen(int fd, int flags, HostScratch scratch) {
        return Libc.open(scratch.place(fd), Libc.O_CLOEXEC | flags, 0);
    }

    /** Opens an open file once more, as a place. */
    int placeOf(int fd, HostScratch scratch) {
        return reopen(fd, OpenFlags.O_PATH, scratch);
    }

    /** Makes a regular file that is not there yet and opens it. */
    int create(int folder, MemorySegment name, int guestFlags, int mode, Owner owner, HostScratch scratch) {
        if (readOnly) {
            return -Errno.EROFS;
        }
        int flags = ALWAYS | (guestFlags & GUEST_FLAGS) | OpenFlags.O_CREAT | OpenFlags.O_EXCL;
        int fd = scratch.how().open(folder, name, flags, mode & ACCESS_BITS, BENEATH);
        if (fd < 0) {
            return fd;
        }
        int failed = settle(folder, fd, mode, owner, scratch);
        if (failed != 0) {
            PathCalls.unlinkat(folder, name, 0);
            Libc.close(fd);
            return failed;
        }
        return fd;
    }

    /** Makes a folder and finds it. */
    int makeFolder(int folder, MemorySegment name, int mode, Owner owner, HostScratch scratch) {
        if (readOnly) {
            return -Errno.EROFS;
        }
        int failed = PathCalls.mkdirat(folder, name, mode & ACCESS_BITS);
        return failed != 0 ? failed : findAndSettle(folder, name, mode, owner, scratch);
    }

    /** Makes a regular file, a FIFO or a socket and finds it. */
    int makeNode(int folder, MemorySegment name, int mode, Owner owner, HostScratch scratch) {
        if (readOnly) {
            return -Errno.EROFS;
        }
        int kind = mode & FileStat.S_IFMT;
        if (kind != 0 && kind != FileStat.S_IFREG && kind != FileStat.S_IFIFO && kind != FileStat.S_IFSOCK) {
            return -Errno.EPERM;
        }
        int failed = PathCalls.mknodat(folder, name, kind | (mode & ACCESS_BITS), 0);
        return failed != 0 ? failed : findAndSettle(folder, name, mode, owner, scratch);
    }

    /** Makes a symbolic link and finds it. What it names is for the guest to follow, never for the host. */
    int makeLink(int folder, MemorySegment name, MemorySegment target, Owner owner, HostScratch scratch) {
        if (readOnly) {
            return -Errno.EROFS;
        }
        int failed = PathCalls.symlinkat(target, folder, name);
        return failed != 0 ? failed : findAndSettle(folder, name, 0, owner, scratch);
    }

    /** Gives a file one more name. */
    int link(Inode file, int folder, MemorySegment name, HostScratch scratch) {
        if (readOnly) {
            return -Errno.EROFS;
        }
        return PathCalls.linkat(AT_FDCWD, scratch.place(file.fd()), folder, name, PathCalls.AT_SYMLINK_FOLLOW);
    }

    private int findAndSettle(int folder, MemorySegment name, int mode, Owner owner, HostScratch scratch) {
        int fd = find(folder, name, scratch);
        if (fd < 0) {
            return fd;
        }
        int failed = settle(folder, fd, mode, owner, scratch);
        if (failed != 0) {
            Libc.close(fd);
            return failed;
        }
        return fd;
    }

    /**
     * Gives a new file its owner and its mode, which the JVM's file creation mask and the owner change.
     *
     * @return 0, or {@code -errno}
     */
    private int settle(int folder, int fd, int mode, Owner owner, HostScratch scratch) {
        FileStat stat = scratch.stat();
        int failed = stat.read(fd);
        if (failed != 0) {
            return failed;
        }
        int kind = stat.kind();
        int made = stat.mode() & FileStat.PERMISSIONS;
        boolean given = false;
        if (givesAway && (stat.user() != owner.user() || stat.group() != owner.group())) {
            failed = stat.read(folder);
            boolean groupOfFolder = (stat.mode() & FileStat.S_ISGID) != 0;
            if (failed == 0) {
                int group = groupOfFolder ? UNCHANGED : owner.group();
                failed = PathCalls.fchownat(fd, scratch.empty(), owner.user(), group, AT_EMPTY_PATH);
            }
            given = true;
        }
        if (failed != 0 || kind == FileStat.S_IFLNK) {
            return failed;
        }
        int inherited = kind == FileStat.S_IFDIR ? made & FileStat.S_ISGID : 0;
        int wanted = allowed(mode, kind) | inherited;
        boolean setId = (wanted & (FileStat.S_ISUID | FileStat.S_ISGID)) != 0;
        // A change of owner takes the set-id bits away.
        if (made == wanted && !(given && setId)) {
            return 0;
        }
        return PathCalls.fchmodat(AT_FDCWD, scratch.place(fd), wanted, 0);
    }

    private int allowed(int mode, int kind) {
        int dropped = keepsSetIdBits || kind == FileStat.S_IFDIR ? 0 : FileStat.S_ISUID | FileStat.S_ISGID;
        return mode & FileStat.PERMISSIONS & ~dropped;
    }

    /** Takes a name away from a file. */
    int unlink(int folder, MemorySegment name) {
        return readOnly ? -Errno.EROFS : PathCalls.unlinkat(folder, name, 0);
    }

    /** Removes an empty folder. */
    int removeFolder(int folder, MemorySegment name) {
        return readOnly ? -Errno.EROFS : PathCalls.unlinkat(folder, name, PathCalls.AT_REMOVEDIR);
    }

    /** Gives a file another name, in the same or in another folder. */
    int rename(int from, MemorySegment name, int to, MemorySegment newName, int flags) {
        if (readOnly) {
            return -Errno.EROFS;
        }
        return (flags & ~RENAME_FLAGS) != 0 ? -Errno.EINVAL : PathCalls.renameat2(from, name, to, newName, flags);
    }

    /** Reads where a symbolic link leads. Returns the length. */
    int readLink(Inode link, MemorySegment target, HostScratch scratch) {
        return (int) PathCalls.readlinkat(link.fd(), scratch.empty(), target, target.byteSize());
    }

    int changeMode(Inode file, int mode, HostScratch scratch) {
        if (readOnly) {
            return -Errno.EROFS;
        }
        return file.kind() == FileStat.S_IFLNK
                ? -Errno.EOPNOTSUPP
                : PathCalls.fchmodat(AT_FDCWD, scratch.place(file.fd()), allowed(mode, file.kind()), 0);
    }

    /** Changes owner and group; -1 leaves one as it is. */
    int changeOwner(Inode file, int user, int group, HostScratch scratch) {
        return readOnly ? -Errno.EROFS : PathCalls.fchownat(file.fd(), scratch.empty(), user, group, AT_EMPTY_PATH);
    }

    int changeTimes(Inode file, MemorySegment times, HostScratch scratch) {
        return readOnly ? -Errno.EROFS : PathCalls.utimensat(file.fd(), scratch.empty(), times, AT_EMPTY_PATH);
    }

    int changeSize(Inode file, long size, HostScratch scratch) {
        int fd = open(file, OpenFlags.O_WRONLY, scratch);
        if (fd < 0) {
            return fd;
        }
        int failed = Libc.ftruncate(fd, size);
        Libc.close(fd);
        return failed;
    }

    /**
     * Takes away what lets a program run as its owner, as a kernel does when somebody without the right to keep it writes to the file.
     *
     * @param fd the file, which may be open as a place only
     */
    void dropSetIdBits(int fd, HostScratch scratch) {
        FileStat stat = scratch.stat();
        if (readOnly || stat.read(fd) != 0 || stat.kind() != FileStat.S_IFREG) {
            return;
        }
        int dropped = stat.mode() & FileStat.S_ISUID;
        if ((stat.mode() & FileStat.S_IXGRP) != 0) {
            dropped |= stat.mode() & FileStat.S_ISGID;
        }
        if (dropped != 0) {
            PathCalls.fchmodat(AT_FDCWD, scratch.place(fd), stat.mode() & FileStat.PERMISSIONS & ~dropped, 0);
        }
    }

    /** Tells whether the JVM may do what the bits of {@code access(2)} say. */
    int checkAccess(Inode file, int mask, HostScratch scratch) {
        int write = 2; // W_OK (unistd.h)
        return readOnly && (mask & write) != 0
                ? -Errno.EROFS
                : PathCalls.faccessat(AT_FDCWD, scratch.place(file.fd()), mask, 0);
    }

    /** Writes all of the file system that the folder is in to the disk. */
    int sync(Inode root, HostScratch scratch) {
        if (readOnly) {
            return 0;
        }
        int fd = openFolder(root, scratch);
        if (fd < 0) {
            return fd;
        }
        int failed = FileCalls.syncfs(fd);
        Libc.close(fd);
        return failed;
    }
}
