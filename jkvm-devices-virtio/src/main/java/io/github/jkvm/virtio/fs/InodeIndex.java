package io.github.jkvm.virtio.fs;

import io.github.jkvm.kvm.ffi.FileStat;
import org.jspecify.annotations.Nullable;

/** Inodes by the numbers of their file system. A table of chains through the inodes themselves, which is as small as can be. */
final class InodeIndex {
    private static final int FIRST_CAPACITY = 64;
    private static final long MULTIPLIER = 0x9E37_79B9_7F4A_7C15L;

    private @Nullable Inode[] chains = new Inode[FIRST_CAPACITY];
    private int size;

    static int hash(long device, long number) {
        return (int) (((number * 31 + device) * MULTIPLIER) >>> Integer.SIZE);
    }

    private static int chain(int hash, int capacity) {
        return hash & (capacity - 1);
    }

    /** Finds the inode of a file; null if there is none. */
    @Nullable
    Inode find(FileStat stat) {
        Inode inode = chains[chain(hash(stat.device(), stat.ino()), chains.length)];
        while (inode != null && !inode.is(stat)) {
            inode = inode.nextAlike;
        }
        return inode;
    }

    void add(Inode inode) {
        if (size == chains.length) {
            grow();
        }
        link(chains, inode);
        size++;
    }

    private void grow() {
        @Nullable Inode[] larger = new Inode[chains.length * 2];
        for (Inode first : chains) {
            for (Inode inode = first; inode != null; ) {
                Inode next = inode.nextAlike;
                link(larger, inode);
                inode = next;
            }
        }
        chains = larger;
    }

    private static void link(@Nullable Inode[] into, Inode inode) {
        int chain = chain(inode.hash(), into.length);
        inode.nextAlike = into[chain];
        into[chain] = inode;
    }

    void remove(Inode inode) {
        int chain = chain(inode.hash(), chains.length);
        Inode before = null;
        for (Inode at = chains[chain]; at != null; before = at, at = at.nextAlike) {
            if (at == inode) {
                if (before == null) {
                    chains[chain] = at.nextAlike;
                } else {
                    before.nextAlike = at.nextAlike;
                }
                at.nextAlike = null;
                size--;
                return;
            }
        }
    }
}
