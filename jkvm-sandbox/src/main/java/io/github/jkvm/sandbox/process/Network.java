package io.github.jkvm.sandbox.process;

/** What network a process has. */
public enum Network {
    /** This process's. */
    HOST,

    /** None, if the host permits to have none. */
    NONE
}
