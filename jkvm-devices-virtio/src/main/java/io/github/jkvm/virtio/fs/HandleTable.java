package io.github.jkvm.virtio.fs;

import io.github.jkvm.kvm.ffi.Libc;
import org.jspecify.annotations.Nullable;

/** What the guest has opened. */
final class HandleTable extends EntryTable<Handle> {
    HandleTable(int limit) {
        super(limit);
    }

    /**
     * Adds an open file or folder.
     *
     * @param handle the handle, whose descriptor is closed if the table is full
     * @return its number, or 0 if the table is full
     */
    long open(Handle handle) {
        long id = add(handle);
        if (id == 0) {
            Libc.close(handle.fd());
        }
        return id;
    }

    /** Puts a handle back that another table had, under the number that it had there. */
    void openAs(Handle handle, long id) {
        if (!place(handle, id, 1)) {
            Libc.close(handle.fd());
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
    void removed(Handle handle) {
        // It is in no other index.
    }
}
