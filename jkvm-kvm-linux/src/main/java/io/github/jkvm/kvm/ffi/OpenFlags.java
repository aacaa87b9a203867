package io.github.jkvm.kvm.ffi;

/** How a file is opened, beside what {@link Libc} has (Linux, include/uapi/asm-generic/fcntl.h; aarch64 has its own numbers for some). */
public final class OpenFlags {
    /** Open for writing. */
    public static final int O_WRONLY = 1;

    /** The bits that tell reading from writing. */
    public static final int O_ACCMODE = 3;

    /** Make the file if it is not there. */
    public static final int O_CREAT = 0x40;

    /** Fail if the file is there. */
    public static final int O_EXCL = 0x80;

    /** Make the file empty. */
    public static final int O_TRUNC = 0x200;

    /** Write at the end. */
    public static final int O_APPEND = 0x400;

    /** A write waits for the data to be on the disk. */
    public static final int O_DSYNC = 0x1000;

    /** A write waits for data and attributes to be on the disk. */
    public static final int O_SYNC = 0x10_1000;

    /** Fail if it is not a folder. */
    public static final int O_DIRECTORY = Libc.AARCH64 ? 0x4000 : 0x1_0000;

    /** Fail if the end of the path is a symbolic link; with {@link #O_PATH}, open the link. */
    public static final int O_NOFOLLOW = Libc.AARCH64 ? 0x8000 : 0x2_0000;

    /** Open as a place in the tree: nothing can be read or written. */
    public static final int O_PATH = 0x20_0000;

    private OpenFlags() {}
}
