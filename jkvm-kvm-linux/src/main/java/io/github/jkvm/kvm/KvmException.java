package io.github.jkvm.kvm;

import io.github.jkvm.HypervisorException;
import io.github.jkvm.kvm.ffi.Errno;

/**
 * A call to the kernel that failed.
 *
 * <p>The text has the call, its arguments, the kernel's answer and what can be done about it, such as
 * {@code KVM_CREATE_PIT2 (VM, 64 bytes) failed with EEXIST (17): there is one already}.
 */
public final class KvmException extends HypervisorException {
    private static final long serialVersionUID = 1L;

    /** Name of the request or C function. */
    private final String operation;

    /** What it was called with. */
    private final String arguments;

    /** The kernel's answer. */
    private final int errno;

    /** What can be done. */
    private final String hint;

    /**
     * Creates an exception with a hint of its own.
     *
     * @param operation name of the request or C function, such as {@code KVM_CREATE_VM}
     * @param arguments what it was called with, for a person to read
     * @param errno the kernel's answer, positive
     * @param hint what can be done about it
     */
    public KvmException(String operation, String arguments, int errno, String hint) {
        super(operation + " (" + arguments + ") failed with " + Errno.name(errno) + " (" + errno + "): " + hint);
        this.operation = operation;
        this.arguments = arguments;
        this.errno = errno;
        this.hint = hint;
    }

    /**
     * Creates an exception with the hint that fits most calls that fail in this way.
     *
     * @param operation name of the request or C function
     * @param arguments what it was called with, for a person to read
     * @param errno the kernel's answer, positive
     * @return the exception
     */
    public static KvmException of(String operation, String arguments, int errno) {
        return new KvmException(operation, arguments, errno, usualHint(errno));
    }

    /**
     * Returns what failed.
     *
     * @return name of the request or C function
     */
    public String operation() {
        return operation;
    }

    /**
     * Returns what it was called with.
     *
     * @return the arguments, for a person to read
     */
    public String arguments() {
        return arguments;
    }

    /**
     * Returns the kernel's answer.
     *
     * @return the number, positive
     */
    public int errno() {
        return errno;
    }

    /**
     * Returns the name of the kernel's answer.
     *
     * @return a name such as {@code EINVAL}
     */
    public String errnoName() {
        return Errno.name(errno);
    }

    /**
     * Returns what can be done about it.
     *
     * @return one sentence
     */
    public String hint() {
        return hint;
    }

    private static String usualHint(int errno) {
        return switch (errno) {
            case Errno.EPERM, Errno.EACCES -> "this process is not permitted to; see its user, groups and sandbox";
            case Errno.ENOENT -> "the host's kernel does not know what was named, or it does not exist";
            case Errno.EINTR -> "a signal came; try again";
            case Errno.EAGAIN -> "the host can't at this moment; try again";
            case Errno.ENXIO -> "what it acts on has not been created, such as an interrupt controller";
            case Errno.ENODEV -> "the host does not have this device";
            case Errno.E2BIG -> "there are more entries than the host takes or than there was room for";
            case Errno.ENOMEM -> "the host is out of memory, or a limit of this process is reached (ulimit -a, cgroup)";
            case Errno.EFAULT -> "the host could not read or write the memory it was given";
            case Errno.EBUSY -> "it is in use, or it is too late, for instance because a vCPU exists or has run";
            case Errno.EEXIST -> "there is one already";
            case Errno.EINVAL -> "the host refuses the arguments, or this is the wrong moment for them";
            case Errno.ENFILE -> "the host has too many files open; raise it with 'sysctl fs.file-max=NUMBER'";
            case Errno.EMFILE -> "this process has too many files open; raise its limit with 'ulimit -n NUMBER'";
            case Errno.ENOTTY, Errno.ENOSYS, Errno.EOPNOTSUPP -> "the host's kernel or processor does not have this";
            case Errno.ENOSPC -> "the host has no room left for it";
            case Errno.EIO -> "the device behind it failed";
            default -> "see the manual page of the call, or Documentation/virt/kvm/api.rst of Linux";
        };
    }
}
