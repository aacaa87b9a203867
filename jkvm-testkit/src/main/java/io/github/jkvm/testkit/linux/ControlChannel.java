package io.github.jkvm.testkit.linux;

/** How commands reach a {@link LinuxMachine}. */
public enum ControlChannel {
    /**
     * Ports of a virtio console of the fixture's own, on the MMIO transport. Output comes in large pieces while the command runs, and a command
     * can be killed at any time. The guest has the modules {@code virtio_mmio} and {@code virtio_console} loaded from the start, one more
     * virtio device, and {@code /dev/vport*} that are not the test's; a command's output is one of them, which can be written but not opened
     * again under the name {@code /dev/stdout}.
     */
    CONSOLE_PORT,
    /**
     * The second serial port, whose driver is part of the kernel. For tests that count the guest's devices, that take away the driver of
     * virtio, or that have a console of their own. It is slow, since each byte is an exit of the guest; a script and its input have 60 000 bytes at
     * most; standard error comes when the command has ended; and a command that does not take its input can't be killed.
     */
    SERIAL
}
