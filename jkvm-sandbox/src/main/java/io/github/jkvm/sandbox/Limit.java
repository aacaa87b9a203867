package io.github.jkvm.sandbox;

/** What a call into a sandbox can have too much of; see {@link Limits}. */
public enum Limit {
    /** It took too long. */
    DEADLINE,

    /** Its processors worked for too long. */
    CPU_TIME,

    /** It put out too many bytes. */
    OUTPUT
}
