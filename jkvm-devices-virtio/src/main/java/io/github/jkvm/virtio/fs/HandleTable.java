package io.github.jkvm.virtio.fs;

import io.github.jkvm.kvm.ffi.Libc;
import org.jspecify.annotations.Nullable;

/**
 * What the guest has opened. The place of a file that is open stays open with it: the guest may ask for the attributes of a file that has
 * no name any more.
 */
final class HandleTable extends EntryTable<Handle> {
    private final InodeTable inodes;

    HandleTable(int limit, InodeTable inodes) {
        super(limit);
        this.inodes = inodes;
    }

    /**
     * Adds an open file or folder.
     *
     * @param handle the handle, whose inode is in use; its descriptor is closed if the table is full
     * @return its number, or 0 if the table is full
     */
    long open(Handle handle) {
        inodes.retain(handle.inode());
        long id = add(handle);
        if (id == 0) {
            dispose(handle);
        }
        return id;
    }

    /** Puts a handle back that another table had, under the number that it had there. */
    void openAs(Handle handle, long id) {
        inodes.retain(handle.inode());
        if (!place(handle, id, 1)) {
            dispose(handle);
        }
    }

    /** Begins a use of a handle of one kind; null if the number is not that of one. */
    @Nullable
    Handle acquire(long id, Handle.Kind kind) {
        Handle handle = acquire(id);
        if (handle != null && handle.kind() != kind) {
            release(handle);
            return null;
        }
        return handle;
    }

    /** Closes one, once no request uses it any more. */
    void close(long id) {
        drop(id, 1);
    }

    /** Closes all, each once no request uses it any more. */
    void closeAll() {
        dropAllBut(0);
    }

    @Override
    void taken(Handle handle) {
        // It is open all the time.
    }

    @Override
    int left(Handle handle) {
        return NO_DESCRIPTOR;
    }

    @Override
    void removed(Handle handle) {
        // It is in no other index.
    }

    @Override
    void dispose(Handle handle) {
        Libc.close(handle.fd());
        inodes.release(handle.inode());
    }
}
