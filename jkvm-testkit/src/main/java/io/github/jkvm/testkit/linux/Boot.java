package io.github.jkvm.testkit.linux;

/** How often a guest of {@link LinuxGuest} is booted. */
public enum Boot {
    /**
     * Once in a JVM, for all machines with the same properties: each goes on from a snapshot of the first, taken when it had booted. They differ in what
     * they do from then on, in their random numbers and in nothing else.
     */
    ONCE,

    /** For each machine. For tests that are about booting. */
    EACH
}
