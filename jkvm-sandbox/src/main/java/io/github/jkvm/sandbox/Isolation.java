package io.github.jkvm.sandbox;

/** How far a sandbox is kept apart from the program that uses it. */
public enum Isolation {
    /** By a virtual machine, which runs in this process. */
    VIRTUAL_MACHINE,

    /**
     * By a virtual machine that runs in a process of its own: a JVM that this one starts, which has no files of this one open and none of its
     * environment variables but {@code PATH}, and ends with it. Where the host
     * permits it, that process has namespaces of its own, without a network if the sandbox has none ({@code unshare(1)}), and a control group that bounds its
     * memory and its threads (Linux, Documentation/admin-guide/cgroup-v2.rst). What was not permitted is logged once. If the process ends, the call that runs
     * throws a {@link SandboxProcessException}, and {@link Sandbox#restore()} starts another.
     */
    PROCESS
}
