package io.github.jkvm.virtio.fs;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.github.jkvm.kvm.ffi.FileStat;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A file that the guest knows: what it is, and where it was seen last. Its place in the host's tree is opened when it is needed; nothing can
 * be read from or written to a place's descriptor.
 */
final class Inode extends TableEntry {
    /** At most what one takes in the Java heap in bytes, in its table and with the longest name. */
    static final int MOST_BYTES = 400;

    private final long device;
    private final long number;
    private final boolean hasBirth;
    private final int kind;

    // What follows belongs to the table, under its lock. Only the descriptor is read without it, by those who use the
    // inode.
    private volatile int fd = EntryTable.NO_DESCRIPTOR;
    private long birth;
    private long folder;
    private byte @Nullable [] name;

    /** The next with the same hash ({@link InodeIndex}). */
    @Nullable
    Inode nextAlike;

    /** Neighbours among those that are open and not in use ({@link IdleInodes}). */
    @Nullable
    Inode usedBefore;

    @Nullable
    Inode usedAfter;

    boolean isIdle;

    /** It could not be found again if its place were closed, so that stays open. */
    boolean isHeld;

    Inode(FileStat stat) {
        device = stat.device();
        number = stat.ino();
        hasBirth = stat.hasBirth();
        birth = stat.birth();
        kind = stat.kind();
    }

    /** The place's descriptor, which is open as long as the inode is acquired. */
    int fd() {
        return fd;
    }

    boolean isOpen() {
        return fd != EntryTable.NO_DESCRIPTOR;
    }

    void setFd(int descriptor) {
        fd = descriptor;
    }

    /** Number of the file in its file system. */
    long number() {
        return number;
    }

    /** One of {@code FileStat.S_IF*}; a file never changes it. */
    int kind() {
        return kind;
    }

    /**
     * Tells whether a file is this one. As long as this one is open, the host gives its number to no other. When it is not, a file with the
     * same number may be a later one, which was made at another time. Mounts inside the folder are not entered, so the mount does not count.
     */
    boolean is(FileStat stat) {
        return device == stat.device()
                && number == stat.ino()
                && kind == stat.kind()
                && (isOpen() || birth == stat.birth());
    }

    /** Notes where the file was just seen. */
    void seen(FileStat stat, long parent, @Nullable MemorySegment newName) {
        // It can change on a file system of layers, when the file is copied from one to another.
        birth = stat.birth();
        folder = parent;
        if (newName == null || !hasName(newName)) {
            name = newName == null
                    ? null
                    : newName.asSlice(0, newName.byteSize() - 1).toArray(JAVA_BYTE);
        }
    }

    private boolean hasName(MemorySegment other) {
        byte[] known = name;
        if (known == null || known.length != other.byteSize() - 1) {
            return false;
        }
        for (int i = 0; i < known.length; i++) {
            if (known[i] != other.get(JAVA_BYTE, i)) {
                return false;
            }
        }
        return true;
    }

    /** Number of the folder that it was seen in. */
    long folder() {
        return folder;
    }

    /** The name that it had there; null if that is not known. */
    byte @Nullable [] name() {
        return name;
    }

    /** Tells whether it can be found again and known for sure once its place is closed. If not, the place stays open. */
    boolean canBeFound() {
        return name != null && hasBirth;
    }

    int hash() {
        return InodeIndex.hash(device, number);
    }
}
