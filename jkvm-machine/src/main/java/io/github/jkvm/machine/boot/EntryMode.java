package io.github.jkvm.machine.boot;

/** The processor mode that a kernel wants to be entered in. */
public enum EntryMode {
    /** Real mode: 16 bits, no paging. */
    REAL16,
    /** Protected mode: flat 32-bit segments, no paging. */
    PROTECTED32,
    /** Long mode: 64-bit code, the first 4 GiB mapped one to one. */
    LONG64
}
