package io.github.jkvm.virtio.fs;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileStat;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The files that the guest knows. Two names of one file are one inode.
 *
 * <p>There can be far more of them than the process can have descriptors. So the place of a file is opened when a request needs it, and of
 * those that no request needs and the guest has not open, only so many stay open. A place is found again by its name in the folder that it was
 * last seen in, beneath the shared folder as all else, and is the file's only if it has the number of the file and was made at the same time.
 * Otherwise the guest is told {@code ESTALE}, upon which its kernel looks the path up anew. A file that can't be known again in this way, since
 * its file system does not tell when it was made, stays open.
 */
final class InodeTable extends EntryTable<Inode> {
    private final SharedFolder folder;
    private final int mostDescriptors;
    private final InodeIndex index = new InodeIndex();
    private final IdleInodes idle = new IdleInodes();

    /** How many are open because they could not be found again; the root is one of them. */
    private int held;

    /** Held while a name changes until this table knows. */
    private final Object renaming = new Object();

    /**
     * Creates a table whose first inode is the root.
     *
     * @param folder how places are found
     * @param limit how many inodes there can be
     * @param mostDescriptors how many places that are in no use can be open, and as many of those that must stay open
     * @param rootFd the root's place, which stays open
     * @param rootStat the root's attributes
     */
    InodeTable(SharedFolder folder, int limit, int mostDescriptors, int rootFd, FileStat rootStat) {
        super(limit);
        this.folder = folder;
        this.mostDescriptors = mostDescriptors;
        if (enter(rootFd, rootStat, 0, null) != FuseLayout.ROOT_ID) {
            throw new IllegalArgumentException("limit of " + limit + " inodes must be above 0");
        }
    }

    /**
     * Counts one more reference to a file, which is added if it is not there.
     *
     * @param fd the file as a place, taken over; {@link #NO_DESCRIPTOR} if it is not open, which it must be if it could not be found again
     * @param stat its attributes
     * @param parent the number of the folder that it was found in
     * @param name its name there with a NUL; null if that is not known
     * @return its number, or 0 if it is not there and the table is full
     */
    long enter(int fd, FileStat stat, long parent, @Nullable MemorySegment name) {
        int unneeded = fd;
        long id;
        synchronized (this) {
            Inode inode = index.find(stat);
            if (inode != null) {
                inode.references++;
                id = inode.id;
                if (name != null) {
                    inode.seen(stat, parent, name);
                }
            } else {
                inode = new Inode(stat);
                inode.seen(stat, parent, name);
                id = canHold(inode) ? add(inode) : 0;
                if (id != 0) {
                    index.add(inode);
                }
            }
            if (id != 0) {
                unneeded = open(inode, fd);
            }
        }
        close(unneeded);
        return id;
    }

    /**
     * Puts a file back that another table had.
     *
     * @param fd the file as a place, taken over
     * @param stat its attributes
     * @param parent the number of the folder that it was found in
     * @param name its name there with a NUL; null if that is not known
     * @param id its number there
     * @param references how many references there are
     */
    void enterAs(int fd, FileStat stat, long parent, @Nullable MemorySegment name, long id, long references) {
        int unneeded = fd;
        var inode = new Inode(stat);
        inode.seen(stat, parent, name);
        synchronized (this) {
            // What were two files when they were saved may be one by now. Then the guest has lost one of them.
            if (index.find(stat) == null && canHold(inode) && place(inode, id, references)) {
                index.add(inode);
                unneeded = open(inode, fd);
            }
        }
        close(unneeded);
    }

    private boolean canHold(Inode inode) {
        return inode.canBeFound() || held <= mostDescriptors;
    }

    /** Gives an inode its place, if it has none. Returns a descriptor to close, if there is one. Under the lock. */
    private int open(Inode inode, int fd) {
        if (fd == NO_DESCRIPTOR || inode.isOpen()) {
            return fd;
        }
        inode.setFd(fd);
        if (!inode.canBeFound()) {
            inode.isHeld = true;
            held++;
        }
        return inode.uses == 0 ? left(inode) : NO_DESCRIPTOR;
    }

    /**
     * Begins a use of a file, whose place is open then; {@link #release} must follow.
     *
     * @return the file, or null: then {@link HostScratch#failure} tells why
     */
    @Nullable
    Inode acquire(long id, HostScratch scratch) {
        Inode inode = acquire(id);
        if (inode == null) {
            scratch.fail(-Errno.ESTALE);
            return null;
        }
        if (inode.isOpen()) {
            return inode;
        }
        int failed = locate(inode, scratch);
        if (failed == -Errno.ESTALE) {
            // It, or a folder above it, may be getting another name right now.
            synchronized (renaming) {
                failed = locate(inode, scratch);
            }
        }
        if (failed != 0) {
            scratch.fail(failed);
            release(inode);
            return null;
        }
        return inode;
    }

    /** Opens the place of a file, unless it is open by now. Returns 0, or {@code -errno}. */
    private int locate(Inode inode, HostScratch scratch) {
        MemorySegment path;
        Inode above;
        synchronized (this) {
            if (inode.isOpen()) {
                return 0;
            }
            int start = writePath(inode, scratch.path());
            above = start == 0 ? null : openAbove(inode);
            if (above == null) {
                return -Errno.ESTALE;
            }
            retain(above);
            path = scratch.path().asSlice(start);
        }
        int fd = folder.find(above.fd(), path, scratch);
        release(above);
        if (fd < 0) {
            return isLack(fd) ? fd : -Errno.ESTALE;
        }
        FileStat stat = scratch.stat();
        int failed = stat.read(fd);
        int unneeded;
        synchronized (this) {
            if (failed == 0 && !inode.is(stat)) {
                failed = -Errno.ESTALE;
            }
            unneeded = failed == 0 ? open(inode, fd) : fd;
        }
        close(unneeded);
        return failed;
    }

    /** Tells whether an error is one of the host's and not of the file's having gone. */
    private static boolean isLack(int error) {
        return error == -Errno.EMFILE || error == -Errno.ENFILE || error == -Errno.ENOMEM || error == -Errno.EACCES;
    }

    /**
     * Writes the path from the nearest open folder above a file to the end of a buffer. One that is too long for it is that of no file,
     * or of folders that have gone into each other.
     *
     * @return where it begins; 0 if there is none
     */
    private int writePath(Inode inode, MemorySegment buffer) {
        int at = (int) buffer.byteSize() - 1;
        buffer.set(JAVA_BYTE, at, (byte) 0);
        for (Inode each = inode; each != null && !each.isOpen(); each = find(each.folder())) {
            byte[] name = each.name();
            if (name == null || name.length + 2 > at) {
                return 0;
            }
            if (each != inode) {
                at--;
                buffer.set(JAVA_BYTE, at, (byte) '/');
            }
            at -= name.length;
            MemorySegment.copy(name, 0, buffer, JAVA_BYTE, at, name.length);
        }
        return at;
    }

    /** The nearest open folder above a file whose path could be written. */
    private @Nullable Inode openAbove(Inode inode) {
        Inode above = find(inode.folder());
        while (above != null && !above.isOpen()) {
            above = find(above.folder());
        }
        return above;
    }

    /**
     * Gives a file another name ({@link SharedFolder#rename}).
     *
     * @return 0, or {@code -errno}
     */
    int rename(Inode from, MemorySegment name, Inode to, MemorySegment newName, int flags, HostScratch scratch) {
        synchronized (renaming) {
            int failed = folder.rename(from.fd(), name, to.fd(), newName, flags);
            if (failed == 0) {
                see(to, newName, scratch);
                if ((flags & SharedFolder.RENAME_EXCHANGE) != 0) {
                    see(from, name, scratch);
                }
            }
            return failed;
        }
    }

    /** Looks which file has a name now, and notes it if the guest knows the file. */
    private void see(Inode parent, MemorySegment name, HostScratch scratch) {
        FileStat stat = scratch.stat();
        if (folder.look(parent.fd(), name, stat) == 0) {
            synchronized (this) {
                Inode inode = index.find(stat);
                if (inode != null) {
                    inode.seen(stat, parent.id, name);
                }
            }
        }
    }

    /** Returns how many places are open that no request uses and the guest has not open, the root's among them. */
    synchronized int idleDescriptors() {
        return idle.size() + held;
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
    void taken(Inode inode) {
        idle.remove(inode);
    }

    @Override
    int left(Inode inode) {
        if (!inode.isOpen() || inode.isHeld) {
            return NO_DESCRIPTOR;
        }
        idle.add(inode);
        Inode oldest = idle.oldest();
        if (idle.size() <= mostDescriptors || oldest == null) {
            return NO_DESCRIPTOR;
        }
        idle.remove(oldest);
        int fd = oldest.fd();
        oldest.setFd(NO_DESCRIPTOR);
        return fd;
    }

    @Override
    void removed(Inode inode) {
        idle.remove(inode);
        index.remove(inode);
        if (inode.isHeld) {
            held--;
        }
    }

    @Override
    void dispose(Inode inode) {
        close(inode.fd());
    }
}
