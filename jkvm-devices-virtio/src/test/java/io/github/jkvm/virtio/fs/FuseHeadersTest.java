package io.github.jkvm.virtio.fs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Compares every number of {@link FuseLayout} with what a C compiler makes of the kernel headers installed here. */
class FuseHeadersTest {
    /** What is not in the headers by itself: that of a choice of ours, and that of the structure before it grew. */
    private static final Map<String, Long> OURS = Map.of("OLDEST_MINOR", 31L, "MINOR", 38L, "INIT_IN", 16L);

    /** A constant and what it is in C. */
    private static final String DECLARATIONS = """
            LOOKUP FUSE_LOOKUP
            FORGET FUSE_FORGET
            GETATTR FUSE_GETATTR
            SETATTR FUSE_SETATTR
            READLINK FUSE_READLINK
            SYMLINK FUSE_SYMLINK
            MKNOD FUSE_MKNOD
            MKDIR FUSE_MKDIR
            UNLINK FUSE_UNLINK
            RMDIR FUSE_RMDIR
            RENAME FUSE_RENAME
            LINK FUSE_LINK
            OPEN FUSE_OPEN
            READ FUSE_READ
            WRITE FUSE_WRITE
            STATFS FUSE_STATFS
            RELEASE FUSE_RELEASE
            FSYNC FUSE_FSYNC
            SETXATTR FUSE_SETXATTR
            GETXATTR FUSE_GETXATTR
            LISTXATTR FUSE_LISTXATTR
            REMOVEXATTR FUSE_REMOVEXATTR
            FLUSH FUSE_FLUSH
            INIT FUSE_INIT
            OPENDIR FUSE_OPENDIR
            READDIR FUSE_READDIR
            RELEASEDIR FUSE_RELEASEDIR
            FSYNCDIR FUSE_FSYNCDIR
            ACCESS FUSE_ACCESS
            CREATE FUSE_CREATE
            INTERRUPT FUSE_INTERRUPT
            DESTROY FUSE_DESTROY
            BATCH_FORGET FUSE_BATCH_FORGET
            FALLOCATE FUSE_FALLOCATE
            READDIRPLUS FUSE_READDIRPLUS
            RENAME2 FUSE_RENAME2
            LSEEK FUSE_LSEEK
            COPY_FILE_RANGE FUSE_COPY_FILE_RANGE
            SYNCFS FUSE_SYNCFS
            ASYNC_READ FUSE_ASYNC_READ
            ATOMIC_O_TRUNC FUSE_ATOMIC_O_TRUNC
            BIG_WRITES FUSE_BIG_WRITES
            AUTO_INVAL_DATA FUSE_AUTO_INVAL_DATA
            DO_READDIRPLUS FUSE_DO_READDIRPLUS
            READDIRPLUS_AUTO FUSE_READDIRPLUS_AUTO
            ASYNC_DIO FUSE_ASYNC_DIO
            PARALLEL_DIROPS FUSE_PARALLEL_DIROPS
            MAX_PAGES FUSE_MAX_PAGES
            HANDLE_KILLPRIV_V2 FUSE_HANDLE_KILLPRIV_V2
            OPEN_KILL_SUIDGID FUSE_OPEN_KILL_SUIDGID
            WRITE_KILL_SUIDGID FUSE_WRITE_KILL_SUIDGID
            ROOT_ID FUSE_ROOT_ID
            FSYNC_FDATASYNC FUSE_FSYNC_FDATASYNC
            FATTR_MODE FATTR_MODE
            FATTR_UID FATTR_UID
            FATTR_GID FATTR_GID
            FATTR_SIZE FATTR_SIZE
            FATTR_ATIME FATTR_ATIME
            FATTR_MTIME FATTR_MTIME
            FATTR_FH FATTR_FH
            FATTR_ATIME_NOW FATTR_ATIME_NOW
            FATTR_MTIME_NOW FATTR_MTIME_NOW
            FATTR_KILL_SUIDGID FATTR_KILL_SUIDGID
            MAJOR FUSE_KERNEL_VERSION
            IN_HEADER sizeof(struct fuse_in_header)
            IN_LEN offsetof(struct fuse_in_header, len)
            IN_OPCODE offsetof(struct fuse_in_header, opcode)
            IN_UNIQUE offsetof(struct fuse_in_header, unique)
            IN_NODEID offsetof(struct fuse_in_header, nodeid)
            IN_UID offsetof(struct fuse_in_header, uid)
            IN_GID offsetof(struct fuse_in_header, gid)
            OUT_HEADER sizeof(struct fuse_out_header)
            OUT_LEN offsetof(struct fuse_out_header, len)
            OUT_ERROR offsetof(struct fuse_out_header, error)
            OUT_UNIQUE offsetof(struct fuse_out_header, unique)
            ATTR sizeof(struct fuse_attr)
            ATTR_INO offsetof(struct fuse_attr, ino)
            ATTR_SIZE offsetof(struct fuse_attr, size)
            ATTR_BLOCKS offsetof(struct fuse_attr, blocks)
            ATTR_ATIME offsetof(struct fuse_attr, atime)
            ATTR_MTIME offsetof(struct fuse_attr, mtime)
            ATTR_CTIME offsetof(struct fuse_attr, ctime)
            ATTR_ATIMENSEC offsetof(struct fuse_attr, atimensec)
            ATTR_MTIMENSEC offsetof(struct fuse_attr, mtimensec)
            ATTR_CTIMENSEC offsetof(struct fuse_attr, ctimensec)
            ATTR_MODE offsetof(struct fuse_attr, mode)
            ATTR_NLINK offsetof(struct fuse_attr, nlink)
            ATTR_UID offsetof(struct fuse_attr, uid)
            ATTR_GID offsetof(struct fuse_attr, gid)
            ATTR_RDEV offsetof(struct fuse_attr, rdev)
            ATTR_BLKSIZE offsetof(struct fuse_attr, blksize)
            ATTR_FLAGS offsetof(struct fuse_attr, flags)
            ENTRY_OUT sizeof(struct fuse_entry_out)
            ENTRY_NODEID offsetof(struct fuse_entry_out, nodeid)
            ENTRY_GENERATION offsetof(struct fuse_entry_out, generation)
            ENTRY_VALID offsetof(struct fuse_entry_out, entry_valid)
            ENTRY_ATTR_VALID offsetof(struct fuse_entry_out, attr_valid)
            ENTRY_VALID_NSEC offsetof(struct fuse_entry_out, entry_valid_nsec)
            ENTRY_ATTR_VALID_NSEC offsetof(struct fuse_entry_out, attr_valid_nsec)
            ENTRY_ATTR offsetof(struct fuse_entry_out, attr)
            ATTR_OUT sizeof(struct fuse_attr_out)
            ATTR_OUT_VALID offsetof(struct fuse_attr_out, attr_valid)
            ATTR_OUT_VALID_NSEC offsetof(struct fuse_attr_out, attr_valid_nsec)
            ATTR_OUT_DUMMY offsetof(struct fuse_attr_out, dummy)
            ATTR_OUT_ATTR offsetof(struct fuse_attr_out, attr)
            FORGET_IN sizeof(struct fuse_forget_in)
            FORGET_NLOOKUP offsetof(struct fuse_forget_in, nlookup)
            BATCH_FORGET_IN sizeof(struct fuse_batch_forget_in)
            BATCH_FORGET_COUNT offsetof(struct fuse_batch_forget_in, count)
            FORGET_ONE sizeof(struct fuse_forget_one)
            FORGET_ONE_NODEID offsetof(struct fuse_forget_one, nodeid)
            FORGET_ONE_NLOOKUP offsetof(struct fuse_forget_one, nlookup)
            INIT_IN_MAJOR offsetof(struct fuse_init_in, major)
            INIT_IN_MINOR offsetof(struct fuse_init_in, minor)
            INIT_IN_MAX_READAHEAD offsetof(struct fuse_init_in, max_readahead)
            INIT_IN_FLAGS offsetof(struct fuse_init_in, flags)
            INIT_OUT sizeof(struct fuse_init_out)
            INIT_OUT_MAJOR offsetof(struct fuse_init_out, major)
            INIT_OUT_MINOR offsetof(struct fuse_init_out, minor)
            INIT_OUT_MAX_READAHEAD offsetof(struct fuse_init_out, max_readahead)
            INIT_OUT_FLAGS offsetof(struct fuse_init_out, flags)
            INIT_OUT_MAX_BACKGROUND offsetof(struct fuse_init_out, max_background)
            INIT_OUT_CONGESTION_THRESHOLD offsetof(struct fuse_init_out, congestion_threshold)
            INIT_OUT_MAX_WRITE offsetof(struct fuse_init_out, max_write)
            INIT_OUT_TIME_GRAN offsetof(struct fuse_init_out, time_gran)
            INIT_OUT_MAX_PAGES offsetof(struct fuse_init_out, max_pages)
            SETATTR_IN sizeof(struct fuse_setattr_in)
            SETATTR_VALID offsetof(struct fuse_setattr_in, valid)
            SETATTR_FH offsetof(struct fuse_setattr_in, fh)
            SETATTR_SIZE offsetof(struct fuse_setattr_in, size)
            SETATTR_ATIME offsetof(struct fuse_setattr_in, atime)
            SETATTR_MTIME offsetof(struct fuse_setattr_in, mtime)
            SETATTR_ATIMENSEC offsetof(struct fuse_setattr_in, atimensec)
            SETATTR_MTIMENSEC offsetof(struct fuse_setattr_in, mtimensec)
            SETATTR_MODE offsetof(struct fuse_setattr_in, mode)
            SETATTR_UID offsetof(struct fuse_setattr_in, uid)
            SETATTR_GID offsetof(struct fuse_setattr_in, gid)
            MKNOD_IN sizeof(struct fuse_mknod_in)
            MKNOD_MODE offsetof(struct fuse_mknod_in, mode)
            MKDIR_IN sizeof(struct fuse_mkdir_in)
            MKDIR_MODE offsetof(struct fuse_mkdir_in, mode)
            RENAME_IN sizeof(struct fuse_rename_in)
            RENAME_NEWDIR offsetof(struct fuse_rename_in, newdir)
            RENAME2_IN sizeof(struct fuse_rename2_in)
            RENAME2_FLAGS offsetof(struct fuse_rename2_in, flags)
            LINK_IN sizeof(struct fuse_link_in)
            LINK_OLDNODEID offsetof(struct fuse_link_in, oldnodeid)
            OPEN_OUT sizeof(struct fuse_open_out)
            OPEN_OUT_FH offsetof(struct fuse_open_out, fh)
            OPEN_OUT_OPEN_FLAGS offsetof(struct fuse_open_out, open_flags)
            OPEN_IN sizeof(struct fuse_open_in)
            OPEN_FLAGS offsetof(struct fuse_open_in, flags)
            OPEN_OPEN_FLAGS offsetof(struct fuse_open_in, open_flags)
            CREATE_IN sizeof(struct fuse_create_in)
            CREATE_FLAGS offsetof(struct fuse_create_in, flags)
            CREATE_MODE offsetof(struct fuse_create_in, mode)
            CREATE_OPEN_FLAGS offsetof(struct fuse_create_in, open_flags)
            RELEASE_IN sizeof(struct fuse_release_in)
            FH offsetof(struct fuse_release_in, fh)
            READ_IN sizeof(struct fuse_read_in)
            READ_OFFSET offsetof(struct fuse_read_in, offset)
            READ_SIZE offsetof(struct fuse_read_in, size)
            WRITE_OUT sizeof(struct fuse_write_out)
            WRITE_OUT_SIZE offsetof(struct fuse_write_out, size)
            WRITE_IN sizeof(struct fuse_write_in)
            WRITE_OFFSET offsetof(struct fuse_write_in, offset)
            WRITE_SIZE offsetof(struct fuse_write_in, size)
            WRITE_FLAGS offsetof(struct fuse_write_in, write_flags)
            STATFS_OUT sizeof(struct fuse_statfs_out)
            STATFS_BLOCKS offsetof(struct fuse_kstatfs, blocks)
            STATFS_BFREE offsetof(struct fuse_kstatfs, bfree)
            STATFS_BAVAIL offsetof(struct fuse_kstatfs, bavail)
            STATFS_FILES offsetof(struct fuse_kstatfs, files)
            STATFS_FFREE offsetof(struct fuse_kstatfs, ffree)
            STATFS_BSIZE offsetof(struct fuse_kstatfs, bsize)
            STATFS_NAMELEN offsetof(struct fuse_kstatfs, namelen)
            STATFS_FRSIZE offsetof(struct fuse_kstatfs, frsize)
            FSYNC_IN sizeof(struct fuse_fsync_in)
            FSYNC_FLAGS offsetof(struct fuse_fsync_in, fsync_flags)
            SETXATTR_IN FUSE_COMPAT_SETXATTR_IN_SIZE
            SETXATTR_SIZE offsetof(struct fuse_setxattr_in, size)
            SETXATTR_FLAGS offsetof(struct fuse_setxattr_in, flags)
            GETXATTR_OUT sizeof(struct fuse_getxattr_out)
            GETXATTR_OUT_SIZE offsetof(struct fuse_getxattr_out, size)
            GETXATTR_IN sizeof(struct fuse_getxattr_in)
            GETXATTR_SIZE offsetof(struct fuse_getxattr_in, size)
            ACCESS_IN sizeof(struct fuse_access_in)
            ACCESS_MASK offsetof(struct fuse_access_in, mask)
            FALLOCATE_IN sizeof(struct fuse_fallocate_in)
            FALLOCATE_OFFSET offsetof(struct fuse_fallocate_in, offset)
            FALLOCATE_LENGTH offsetof(struct fuse_fallocate_in, length)
            FALLOCATE_MODE offsetof(struct fuse_fallocate_in, mode)
            LSEEK_OUT sizeof(struct fuse_lseek_out)
            LSEEK_OUT_OFFSET offsetof(struct fuse_lseek_out, offset)
            LSEEK_IN sizeof(struct fuse_lseek_in)
            LSEEK_OFFSET offsetof(struct fuse_lseek_in, offset)
            LSEEK_WHENCE offsetof(struct fuse_lseek_in, whence)
            COPY_IN sizeof(struct fuse_copy_file_range_in)
            COPY_FH_IN offsetof(struct fuse_copy_file_range_in, fh_in)
            COPY_OFF_IN offsetof(struct fuse_copy_file_range_in, off_in)
            COPY_FH_OUT offsetof(struct fuse_copy_file_range_in, fh_out)
            COPY_OFF_OUT offsetof(struct fuse_copy_file_range_in, off_out)
            COPY_LEN offsetof(struct fuse_copy_file_range_in, len)
            COPY_FLAGS offsetof(struct fuse_copy_file_range_in, flags)
            DIRENT sizeof(struct fuse_dirent)
            DIRENT_INO offsetof(struct fuse_dirent, ino)
            DIRENT_OFF offsetof(struct fuse_dirent, off)
            DIRENT_NAMELEN offsetof(struct fuse_dirent, namelen)
            DIRENT_TYPE offsetof(struct fuse_dirent, type)
            DIRENT_NAME offsetof(struct fuse_dirent, name)
            """;

    @TempDir
    private Path folder;

    @Test
    void agreesWithTheHeaders() throws Exception {
        assumeTrue(Files.exists(Path.of("/usr/include/linux/fuse.h")), "no kernel headers (Debian: linux-libc-dev)");
        Map<String, String> declared = DECLARATIONS
                .lines()
                .map(line -> line.split(" ", 2))
                .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));

        assertThat(constants().keySet()).hasSize(declared.size() + OURS.size()).containsAll(declared.keySet());
        Map<String, Long> expected = evaluate(declared);
        expected.putAll(OURS);
        assertThat(constants()).containsExactlyInAnyOrderEntriesOf(expected);
    }

    private static Map<String, Long> constants() throws IllegalAccessException {
        Map<String, Long> constants = new TreeMap<>();
        for (Field field : FuseLayout.class.getDeclaredFields()) {
            if (!field.isSynthetic()) {
                constants.put(field.getName(), ((Number) field.get(null)).longValue());
            }
        }
        return constants;
    }

    private Map<String, Long> evaluate(Map<String, String> expressions) throws Exception {
        String body = expressions.entrySet().stream()
                .map(entry -> "printf(\"%%s %%lld\\n\", \"%s\", (long long) (%s));"
                        .formatted(entry.getKey(), entry.getValue()))
                .collect(Collectors.joining("\n"));
        Path source = Files.writeString(
                folder.resolve("values.c"),
                "#include <stddef.h>\n#include <stdio.h>\n#include <linux/fuse.h>\nint main(void) {\n" + body
                        + "\nreturn 0; }\n");
        Path program = folder.resolve("values");
        Map<String, Long> values = new TreeMap<>();
        run("cc", "-w", "-o", program.toString(), source.toString());
        for (String line : run(program.toString()).split("\n", -1)) {
            if (!line.isEmpty()) {
                values.put(line.substring(0, line.indexOf(' ')), Long.parseLong(line.substring(line.indexOf(' ') + 1)));
            }
        }
        return values;
    }

    private String run(String... command) throws Exception {
        Path output = folder.resolve("output");
        Process process;
        try {
            process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(output.toFile())
                    .start();
        } catch (IOException e) {
            assumeTrue(false, "no C compiler: the layout is not compared with the kernel headers");
            throw e;
        }
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        String text = Files.readString(output);
        assertThat(process.exitValue()).as(text).isZero();
        return text;
    }
}
