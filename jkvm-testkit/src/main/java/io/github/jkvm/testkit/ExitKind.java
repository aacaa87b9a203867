package io.github.jkvm.testkit;

/** What a guest stopped for, as {@link ExitLog} counts it. */
public enum ExitKind {
    /** A read of a port. */
    PORT_IN,
    /** A write to a port. */
    PORT_OUT,
    /** A read where there is no memory. */
    MMIO_READ,
    /** A write where there is no memory. */
    MMIO_WRITE,
    /** A halt instruction. */
    HALT,
    /** A triple fault. */
    SHUTDOWN,
    /** {@link io.github.jkvm.VCpu#interrupt()}, or the time was over. */
    INTERRUPTED,
    /** Any other of {@link io.github.jkvm.VmExit}. */
    OTHER
}
