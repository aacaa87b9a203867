package io.github.jkvm.virtio.fs;

/**
 * Numbers, flags and structures of the FUSE protocol, by their names in Linux, include/uapi/linux/fuse.h, version 7.38. A structure's
 * fields are offsets from its start, in bytes.
 */
final class FuseLayout {
    static final int MAJOR = 7;
    static final int MINOR = 38;

    /** The oldest minor version served: that of Linux 5.4, the first with virtio-fs. Its structures have not changed size since. */
    static final int OLDEST_MINOR = 31;

    static final long ROOT_ID = 1;

    // enum fuse_opcode
    static final int LOOKUP = 1;
    static final int FORGET = 2;
    static final int GETATTR = 3;
    static final int SETATTR = 4;
    static final int READLINK = 5;
    static final int SYMLINK = 6;
    static final int MKNOD = 8;
    static final int MKDIR = 9;
    static final int UNLINK = 10;
    static final int RMDIR = 11;
    static final int RENAME = 12;
    static final int LINK = 13;
    static final int OPEN = 14;
    static final int READ = 15;
    static final int WRITE = 16;
    static final int STATFS = 17;
    static final int RELEASE = 18;
    static final int FSYNC = 20;
    static final int SETXATTR = 21;
    static final int GETXATTR = 22;
    static final int LISTXATTR = 23;
    static final int REMOVEXATTR = 24;
    static final int FLUSH = 25;
    static final int INIT = 26;
    static final int OPENDIR = 27;
    static final int READDIR = 28;
    static final int RELEASEDIR = 29;
    static final int FSYNCDIR = 30;
    static final int ACCESS = 34;
    static final int CREATE = 35;
    static final int INTERRUPT = 36;
    static final int DESTROY = 38;
    static final int BATCH_FORGET = 42;
    static final int FALLOCATE = 43;
    static final int READDIRPLUS = 44;
    static final int RENAME2 = 45;
    static final int LSEEK = 46;
    static final int COPY_FILE_RANGE = 47;
    static final int SYNCFS = 50;

    // struct fuse_in_header
    static final int IN_HEADER = 40;
    static final int IN_LEN = 0;
    static final int IN_OPCODE = 4;
    static final int IN_UNIQUE = 8;
    static final int IN_NODEID = 16;
    static final int IN_UID = 24;
    static final int IN_GID = 28;

    // struct fuse_out_header
    static final int OUT_HEADER = 16;
    static final int OUT_LEN = 0;
    static final int OUT_ERROR = 4;
    static final int OUT_UNIQUE = 8;

    // struct fuse_attr
    static final int ATTR = 88;
    static final int ATTR_INO = 0;
    static final int ATTR_SIZE = 8;
    static final int ATTR_BLOCKS = 16;
    static final int ATTR_ATIME = 24;
    static final int ATTR_MTIME = 32;
    static final int ATTR_CTIME = 40;
    static final int ATTR_ATIMENSEC = 48;
    static final int ATTR_MTIMENSEC = 52;
    static final int ATTR_CTIMENSEC = 56;
    static final int ATTR_MODE = 60;
    static final int ATTR_NLINK = 64;
    static final int ATTR_UID = 68;
    static final int ATTR_GID = 72;
    static final int ATTR_RDEV = 76;
    static final int ATTR_BLKSIZE = 80;
    static final int ATTR_FLAGS = 84;

    // struct fuse_entry_out
    static final int ENTRY_OUT = 40 + ATTR;
    static final int ENTRY_NODEID = 0;
    static final int ENTRY_GENERATION = 8;
    static final int ENTRY_VALID = 16;
    static final int ENTRY_ATTR_VALID = 24;
    static final int ENTRY_VALID_NSEC = 32;
    static final int ENTRY_ATTR_VALID_NSEC = 36;
    static final int ENTRY_ATTR = 40;

    // struct fuse_attr_out
    static final int ATTR_OUT = 16 + ATTR;
    static final int ATTR_OUT_VALID = 0;
    static final int ATTR_OUT_VALID_NSEC = 8;
    static final int ATTR_OUT_DUMMY = 12;
    static final int ATTR_OUT_ATTR = 16;

    // struct fuse_forget_in, fuse_batch_forget_in, fuse_forget_one
    static final int FORGET_IN = 8;
    static final int FORGET_NLOOKUP = 0;
    static final int BATCH_FORGET_IN = 8;
    static final int BATCH_FORGET_COUNT = 0;
    static final int FORGET_ONE = 16;
    static final int FORGET_ONE_NODEID = 0;
    static final int FORGET_ONE_NLOOKUP = 8;

    // struct fuse_init_in: as it was before it grew in 7.36; what it grew by is not used
    static final int INIT_IN = 16;
    static final int INIT_IN_MAJOR = 0;
    static final int INIT_IN_MINOR = 4;
    static final int INIT_IN_MAX_READAHEAD = 8;
    static final int INIT_IN_FLAGS = 12;

    // struct fuse_init_out
    static final int INIT_OUT = 64;
    static final int INIT_OUT_MAJOR = 0;
    static final int INIT_OUT_MINOR = 4;
    static final int INIT_OUT_MAX_READAHEAD = 8;
    static final int INIT_OUT_FLAGS = 12;
    static final int INIT_OUT_MAX_BACKGROUND = 16;
    static final int INIT_OUT_CONGESTION_THRESHOLD = 18;
    static final int INIT_OUT_MAX_WRITE = 20;
    static final int INIT_OUT_TIME_GRAN = 24;
    static final int INIT_OUT_MAX_PAGES = 28;

    // INIT flags
    static final int ASYNC_READ = 1 << 0;
    static final int ATOMIC_O_TRUNC = 1 << 3;
    static final int BIG_WRITES = 1 << 5;
    static final int AUTO_INVAL_DATA = 1 << 12;
    static final int DO_READDIRPLUS = 1 << 13;
    static final int READDIRPLUS_AUTO = 1 << 14;
    static final int ASYNC_DIO = 1 << 15;
    static final int PARALLEL_DIROPS = 1 << 18;
    static final int MAX_PAGES = 1 << 22;
    static final int HANDLE_KILLPRIV_V2 = 1 << 28;

    // struct fuse_setattr_in
    static final int SETATTR_IN = 88;
    static final int SETATTR_VALID = 0;
    static final int SETATTR_FH = 8;
    static final int SETATTR_SIZE = 16;
    static final int SETATTR_ATIME = 32;
    static final int SETATTR_MTIME = 40;
    static final int SETATTR_ATIMENSEC = 56;
    static final int SETATTR_MTIMENSEC = 60;
    static final int SETATTR_MODE = 68;
    static final int SETATTR_UID = 76;
    static final int SETATTR_GID = 80;

    // FATTR_*
    static final int FATTR_MODE = 1 << 0;
    static final int FATTR_UID = 1 << 1;
    static final int FATTR_GID = 1 << 2;
    static final int FATTR_SIZE = 1 << 3;
    static final int FATTR_ATIME = 1 << 4;
    static final int FATTR_MTIME = 1 << 5;
    static final int FATTR_FH = 1 << 6;
    static final int FATTR_ATIME_NOW = 1 << 7;
    static final int FATTR_MTIME_NOW = 1 << 8;
    static final int FATTR_KILL_SUIDGID = 1 << 11;

    // struct fuse_mknod_in
    static final int MKNOD_IN = 16;
    static final int MKNOD_MODE = 0;

    // struct fuse_mkdir_in
    static final int MKDIR_IN = 8;
    static final int MKDIR_MODE = 0;

    // struct fuse_rename_in, fuse_rename2_in
    static final int RENAME_IN = 8;
    static final int RENAME_NEWDIR = 0;
    static final int RENAME2_IN = 16;
    static final int RENAME2_FLAGS = 8;

    // struct fuse_link_in
    static final int LINK_IN = 8;
    static final int LINK_OLDNODEID = 0;

    // struct fuse_open_in, fuse_create_in; FUSE_OPEN_KILL_SUIDGID
    static final int OPEN_IN = 8;
    static final int OPEN_FLAGS = 0;
    static final int OPEN_OPEN_FLAGS = 4;
    static final int CREATE_IN = 16;
    static final int CREATE_FLAGS = 0;
    static final int CREATE_MODE = 4;
    static final int CREATE_OPEN_FLAGS = 12;
    static final int OPEN_KILL_SUIDGID = 1 << 0;

    // struct fuse_open_out
    static final int OPEN_OUT = 16;
    static final int OPEN_OUT_FH = 0;
    static final int OPEN_OUT_OPEN_FLAGS = 8;

    // struct fuse_release_in
    static final int RELEASE_IN = 24;
    static final int FH = 0;

    // struct fuse_read_in; also that of READDIR and READDIRPLUS
    static final int READ_IN = 40;
    static final int READ_OFFSET = 8;
    static final int READ_SIZE = 16;

    // struct fuse_write_in, fuse_write_out; FUSE_WRITE_KILL_SUIDGID
    static final int WRITE_IN = 40;
    static final int WRITE_OFFSET = 8;
    static final int WRITE_SIZE = 16;
    static final int WRITE_FLAGS = 20;
    static final int WRITE_OUT = 8;
    static final int WRITE_OUT_SIZE = 0;
    static final int WRITE_KILL_SUIDGID = 1 << 2;

    // struct fuse_kstatfs
    static final int STATFS_OUT = 80;
    static final int STATFS_BLOCKS = 0;
    static final int STATFS_BFREE = 8;
    static final int STATFS_BAVAIL = 16;
    static final int STATFS_FILES = 24;
    static final int STATFS_FFREE = 32;
    static final int STATFS_BSIZE = 40;
    static final int STATFS_NAMELEN = 44;
    static final int STATFS_FRSIZE = 48;

    // struct fuse_fsync_in; FUSE_FSYNC_FDATASYNC
    static final int FSYNC_IN = 16;
    static final int FSYNC_FLAGS = 8;
    static final int FSYNC_FDATASYNC = 1 << 0;

    // struct fuse_setxattr_in, as it is without FUSE_SETXATTR_EXT
    static final int SETXATTR_IN = 8;
    static final int SETXATTR_SIZE = 0;
    static final int SETXATTR_FLAGS = 4;

    // struct fuse_getxattr_in, fuse_getxattr_out
    static final int GETXATTR_IN = 8;
    static final int GETXATTR_SIZE = 0;
    static final int GETXATTR_OUT = 8;
    static final int GETXATTR_OUT_SIZE = 0;

    // struct fuse_access_in
    static final int ACCESS_IN = 8;
    static final int ACCESS_MASK = 0;

    // struct fuse_fallocate_in
    static final int FALLOCATE_IN = 32;
    static final int FALLOCATE_OFFSET = 8;
    static final int FALLOCATE_LENGTH = 16;
    static final int FALLOCATE_MODE = 24;

    // struct fuse_lseek_in, fuse_lseek_out
    static final int LSEEK_IN = 24;
    static final int LSEEK_OFFSET = 8;
    static final int LSEEK_WHENCE = 16;
    static final int LSEEK_OUT = 8;
    static final int LSEEK_OUT_OFFSET = 0;

    // struct fuse_copy_file_range_in
    static final int COPY_IN = 56;
    static final int COPY_FH_IN = 0;
    static final int COPY_OFF_IN = 8;
    static final int COPY_FH_OUT = 24;
    static final int COPY_OFF_OUT = 32;
    static final int COPY_LEN = 40;
    static final int COPY_FLAGS = 48;

    // struct fuse_dirent; that of READDIRPLUS is behind a struct fuse_entry_out
    static final int DIRENT = 24;
    static final int DIRENT_INO = 0;
    static final int DIRENT_OFF = 8;
    static final int DIRENT_NAMELEN = 16;
    static final int DIRENT_TYPE = 20;
    static final int DIRENT_NAME = 24;

    private FuseLayout() {}

    /** {@code FUSE_DIRENT_ALIGN}: what a directory entry takes, a multiple of 8 bytes. */
    static int aligned(int bytes) {
        return (bytes + Long.BYTES - 1) & -Long.BYTES;
    }
}
