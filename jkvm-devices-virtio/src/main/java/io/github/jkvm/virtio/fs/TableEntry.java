package io.github.jkvm.virtio.fs;

/** What an {@link EntryTable} keeps, for as long as the guest refers to it or something uses it. */
abstract class TableEntry {
    // All of this belongs to the table, under its lock.
    long id;
    long references;
    int uses;
}
