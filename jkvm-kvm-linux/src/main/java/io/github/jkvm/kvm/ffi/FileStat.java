package io.github.jkvm.kvm.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Attributes of a file: {@code struct statx} (Linux, include/uapi/linux/stat.h), which is the same on every architecture. Filled by
 * {@link #read}; what it tells before is 0. Belongs to one thread at a time.
 */
public final class FileStat {
    /** The bits of the mode that tell what kind of file it is (Linux, include/uapi/linux/stat.h). */
    public static final int S_IFMT = 0xF000;

    /** Kind: socket. */
    public static final int S_IFSOCK = 0xC000;

    /** Kind: symbolic link. */
    public static final int S_IFLNK = 0xA000;

    /** Kind: regular file. */
    public static final int S_IFREG = 0x8000;

    /** Kind: folder. */
    public static final int S_IFDIR = 0x4000;

    /** Kind: FIFO. */
    public static final int S_IFIFO = 0x1000;

    /** Run as the file's owner. */
    public static final int S_ISUID = 0x800;

    /** Run as the file's group; on a folder, its files get its group. */
    public static final int S_ISGID = 0x400;

    /** The group may execute. */
    public static final int S_IXGRP = 0x8;

    /** All of the mode that is not the kind. */
    public static final int PERMISSIONS = 0xFFF;

    /** {@code STATX_BASIC_STATS}: what {@code stat(2)} tells. */
    private static final int BASIC_STATS = 0x7FF;

    /** {@code STATX_BTIME}: when the file was made. */
    private static final int BIRTH = 0x800;

    /** {@code STATX_MNT_ID}: the number of the mount. */
    private static final int MOUNT = 0x1000;

    private static final int WANTED = BASIC_STATS | BIRTH | MOUNT;

    private static final long SIZE = 256;
    private static final long MASK = 0;
    private static final long BLKSIZE = 4;
    private static final long NLINK = 16;
    private static final long UID = 20;
    private static final long GID = 24;
    private static final long MODE = 28;
    private static final long INO = 32;
    private static final long FILE_SIZE = 40;
    private static final long BLOCKS = 48;
    private static final long ATIME = 64;
    private static final long BTIME = 80;
    private static final long CTIME = 96;
    private static final long MTIME = 112;
    private static final long NANOSECONDS = 8;
    private static final long RDEV_MAJOR = 128;
    private static final long RDEV_MINOR = 132;
    private static final long DEV_MAJOR = 136;
    private static final long DEV_MINOR = 140;
    private static final long MNT_ID = 144;
    private static final long NANOSECONDS_PER_SECOND = 1_000_000_000;

    private final MemorySegment segment;
    private final MemorySegment emptyPath;

    /**
     * Allocates one.
     *
     * @param arena its lifetime
     */
    public FileStat(Arena arena) {
        segment = arena.allocate(SIZE, Long.BYTES);
        emptyPath = arena.allocate(1);
    }

    /**
     * Reads the attributes of an open file, also of one opened as a place only.
     *
     * @param fd the file
     * @return 0, or {@code -errno}
     */
    public int read(int fd) {
        return PathCalls.statx(fd, emptyPath, PathCalls.AT_EMPTY_PATH, WANTED, segment);
    }

    /**
     * Reads the attributes of a file in a folder. A symbolic link is not followed, if the path has no folders in it. A file system that is
     * mounted there is what it tells of: {@link #mount} is another one then.
     *
     * @param folder the folder, which may be open as a place only
     * @param name the file's name, ended with NUL, in native memory
     * @return 0, or {@code -errno}
     */
    public int read(int folder, MemorySegment name) {
        return PathCalls.statx(
                folder, name, PathCalls.AT_SYMLINK_NOFOLLOW | PathCalls.AT_NO_AUTOMOUNT, WANTED, segment);
    }

    /** Returns kind and permissions. */
    public int mode() {
        return Short.toUnsignedInt(segment.get(JAVA_SHORT, MODE));
    }

    /** Returns the kind, one of {@code S_IF*}. */
    public int kind() {
        return mode() & S_IFMT;
    }

    /** Returns the number of the file in its file system. */
    public long ino() {
        return segment.get(JAVA_LONG, INO);
    }

    /** Returns the number of the file system: its major part in the upper half, its minor in the lower. */
    public long device() {
        return (long) segment.get(JAVA_INT, DEV_MAJOR) << Integer.SIZE
                | Integer.toUnsignedLong(segment.get(JAVA_INT, DEV_MINOR));
    }

    /**
     * Returns the number of the mount that the file was reached in.
     *
     * @return the number; -1 where the kernel does not tell (before Linux 5.8)
     */
    public long mount() {
        return (segment.get(JAVA_INT, MASK) & MOUNT) != 0 ? segment.get(JAVA_LONG, MNT_ID) : -1;
    }

    /** Tells whether the file system knows when the file was made. */
    public boolean hasBirth() {
        return (segment.get(JAVA_INT, MASK) & BIRTH) != 0;
    }

    /** Returns when the file was made, in nanoseconds since 1970; tells files apart that had the same number, one after the other. */
    public long birth() {
        return segment.get(JAVA_LONG, BTIME) * NANOSECONDS_PER_SECOND + segment.get(JAVA_INT, BTIME + NANOSECONDS);
    }

    /** Returns the size in bytes. */
    public long size() {
        return segment.get(JAVA_LONG, FILE_SIZE);
    }

    /** Returns how much is allocated, in units of 512 bytes. */
    public long blocks() {
        return segment.get(JAVA_LONG, BLOCKS);
    }

    /** Returns the size that transfers are best done in, in bytes. */
    public int blockSize() {
        return segment.get(JAVA_INT, BLKSIZE);
    }

    /** Returns the number of names. */
    public int links() {
        return segment.get(JAVA_INT, NLINK);
    }

    /** Returns the owner. */
    public int user() {
        return segment.get(JAVA_INT, UID);
    }

    /** Returns the group. */
    public int group() {
        return segment.get(JAVA_INT, GID);
    }

    /** Returns the major number of the device that a special file stands for. */
    public int specialMajor() {
        return segment.get(JAVA_INT, RDEV_MAJOR);
    }

    /** Returns the minor number of the device that a special file stands for. */
    public int specialMinor() {
        return segment.get(JAVA_INT, RDEV_MINOR);
    }

    /** Returns when it was last read, in seconds since 1970. */
    public long accessed() {
        return segment.get(JAVA_LONG, ATIME);
    }

    /** Returns the nanoseconds of {@link #accessed}. */
    public int accessedNanos() {
        return segment.get(JAVA_INT, ATIME + NANOSECONDS);
    }

    /** Returns when its content last changed, in seconds since 1970. */
    public long modified() {
        return segment.get(JAVA_LONG, MTIME);
    }

    /** Returns the nanoseconds of {@link #modified}. */
    public int modifiedNanos() {
        return segment.get(JAVA_INT, MTIME + NANOSECONDS);
    }

    /** Returns when its attributes last changed, in seconds since 1970. */
    public long changed() {
        return segment.get(JAVA_LONG, CTIME);
    }

    /** Returns the nanoseconds of {@link #changed}. */
    public int changedNanos() {
        return segment.get(JAVA_INT, CTIME + NANOSECONDS);
    }
}
