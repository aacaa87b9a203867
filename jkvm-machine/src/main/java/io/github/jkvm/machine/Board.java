package io.github.jkvm.machine;

/** What kind of computer a {@link Machine} is. */
public enum Board {
    /**
     * A PC that a stock Linux boots on: interrupt controllers and timer in the hypervisor, ACPI, serial port COM1, clock, keyboard controller,
     * power management, reset register, crash port and exit port. Needs 2 MiB of memory or more.
     */
    PC,

    /**
     * Processors and memory, a serial port and an exit port that are polled, and nothing else: no interrupt controller, so that a halt ends a
     * vCPU. All vCPUs start at the kernel's entry and tell themselves apart by CPUID leaf 1, EBX bits 24 to 31. Created fast.
     */
    MICRO
}
