package io.github.jkvm.virtio.fs;

import org.jspecify.annotations.Nullable;

/** Inodes whose places are open and in no use, in the order of their last use. */
final class IdleInodes {
    private @Nullable Inode first;
    private @Nullable Inode last;
    private int size;

    int size() {
        return size;
    }

    /** Adds one that was used just now. */
    void add(Inode inode) {
        inode.isIdle = true;
        inode.usedBefore = last;
        inode.usedAfter = null;
        if (last == null) {
            first = inode;
        } else {
            last.usedAfter = inode;
        }
        last = inode;
        size++;
    }

    /** Takes one out, if it is there. */
    void remove(Inode inode) {
        if (!inode.isIdle) {
            return;
        }
        Inode before = inode.usedBefore;
        Inode after = inode.usedAfter;
        if (before == null) {
            first = after;
        } else {
            before.usedAfter = after;
        }
        if (after == null) {
            last = before;
        } else {
            after.usedBefore = before;
        }
        inode.usedBefore = null;
        inode.usedAfter = null;
        inode.isIdle = false;
        size--;
    }

    /** The one that has not been used for longest. */
    @Nullable
    Inode oldest() {
        return first;
    }
}
