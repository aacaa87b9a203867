package io.github.jkvm.testkit;

/** What a host can do for a guest beyond the capabilities that its hypervisor tells, learnt by running a tiny guest. */
public enum HostFeature {
    /**
     * Guests run on the processor itself. A KVM that runs privileged guest code through its instruction emulator (such as PVM) lacks it: there
     * an instruction takes hundreds of nanoseconds, and one that the emulator does not know, such as any of SSE, ends the guest.
     */
    HARDWARE_VIRTUALIZATION,
    /**
     * Exceptions and software interrupts of 64-bit guests are delivered through the guest's interrupt table. Stock kernels need it. A KVM that
     * runs privileged guest code through its instruction emulator (such as PVM) lacks it.
     */
    LONG_MODE_EXCEPTIONS
}
