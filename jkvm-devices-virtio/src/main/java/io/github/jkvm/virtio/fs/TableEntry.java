package io.github.jkvm.virtio.fs;

/** What an {@link EntryTable} keeps: an open file of the host, for as long as the guest refers to it or a request uses it. */
abstract class TableEntry {
    private final int fd;

    // The rest belongs to the table, under its lock.
    long id;
    long references;
    int uses;

    TableEntry(int fd) {
        this.fd = fd;
    }

    /** The file's descriptor, which is open as long as the entry is acquired. */
    final int fd() {
        return fd;
    }
}
