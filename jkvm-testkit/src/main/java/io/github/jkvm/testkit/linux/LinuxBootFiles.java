package io.github.jkvm.testkit.linux;

import io.github.jkvm.machine.boot.CommandLine;
import io.github.jkvm.machine.linux.InstalledKernel;

/** What a VMM needs to boot a guest: all of it but the devices. Immutable. */
public final class LinuxBootFiles {
    private final InstalledKernel kernel;
    private final CommandLine commandLine;
    private final long memory;
    private final byte[] initrd;

    LinuxBootFiles(InstalledKernel kernel, CommandLine commandLine, long memory, byte[] initrd) {
        this.kernel = kernel;
        this.commandLine = commandLine;
        this.memory = memory;
        this.initrd = initrd;
    }

    /**
     * Returns the kernel.
     *
     * @return the kernel
     */
    public InstalledKernel kernel() {
        return kernel;
    }

    /**
     * Returns the kernel's command line.
     *
     * @return the command line
     */
    public CommandLine commandLine() {
        return commandLine;
    }

    /**
     * Returns the size of memory.
     *
     * @return bytes
     */
    public long memory() {
        return memory;
    }

    /**
     * Returns the first file system: a cpio archive that the kernel unpacks.
     *
     * @return a copy of the bytes, the same for the same guest
     */
    public byte[] initrd() {
        return initrd.clone();
    }

    /** The bytes themselves. */
    byte[] archive() {
        return initrd;
    }
}
