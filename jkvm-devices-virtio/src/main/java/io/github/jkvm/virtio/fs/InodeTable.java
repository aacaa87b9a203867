package io.github.jkvm.virtio.fs;

import io.github.jkvm.kvm.ffi.FileStat;
import io.github.jkvm.kvm.ffi.Libc;
import java.util.HashMap;
import java.util.Map;

/** The files that the guest knows. Two names of one file are one inode. Each holds a descriptor, so that a number is of the same file always. */
final class InodeTable extends EntryTable<Inode> {
    private final Map<Inode.Key, Inode> byKey = new HashMap<>();

    /** Creates a table of so many inodes at most, the first of which is the root. */
    InodeTable(int limit, int rootFd, FileStat rootStat) {
        super(limit);
        if (enter(rootFd, rootStat) != FuseLayout.ROOT_ID) {
            throw new IllegalArgumentException("limit of " + limit + " inodes must be above 0");
        }
    }

    /**
     * Counts one more reference to a file, which is added if it is not there.
     *
     * @param fd the file as a place, taken over
     * @param stat its attributes
     * @return its number, or 0 if it is not there and the table is full
     */
    long enter(int fd, FileStat stat) {
        long id;
        synchronized (this) {
            Inode known = byKey.get(Inode.Key.of(stat));
            if (known == null) {
                var inode = new Inode(fd, stat);
                id = add(inode);
                if (id != 0) {
                    byKey.put(inode.key(), inode);
                    return id;
                }
            } else {
                known.references++;
                id = known.id;
            }
        }
        Libc.close(fd);
        return id;
    }

    /**
     * Puts a file back that another table had.
     *
     * @param fd the file as a place, taken over
     * @param stat its attributes
     * @param id its number there
     * @param references how many references there are
     */
    void enterAs(int fd, FileStat stat, long id, long references) {
        var inode = new Inode(fd, stat);
        boolean entered;
        synchronized (this) {
            // What were two files when they were saved may be one by now. Then the guest has lost one of them.
            entered = !byKey.containsKey(inode.key()) && place(inode, id, references);
            if (entered) {
                byKey.put(inode.key(), inode);
            }
        }
        if (!entered) {
            Libc.close(fd);
        }
    }

    /** Takes references away; those to the root are not counted. */
    void forget(long id, long count) {
        if (id != FuseLayout.ROOT_ID) {
            drop(id, count);
        }
    }

    /** Forgets all but the root. */
    void forgetAll() {
        dropAllBut(FuseLayout.ROOT_ID);
    }

    /** Forgets the root too. */
    void close() {
        dropAllBut(0);
    }

    @Override
    void removed(Inode inode) {
        byKey.remove(inode.key());
    }
}
