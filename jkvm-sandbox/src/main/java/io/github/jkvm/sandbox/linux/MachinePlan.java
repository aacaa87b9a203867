package io.github.jkvm.sandbox.linux;

import io.github.jkvm.machine.boot.CommandLine;
import io.github.jkvm.sandbox.SandboxException;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;

/**
 * What machines are made of, as data, so that it can be sent to another process of this host.
 *
 * @param kernel the file of the kernel
 * @param initramfs the guest's first file system
 * @param commandLine the kernel's
 * @param root the file of the root
 * @param memory bytes of RAM
 * @param vcpus number of processors
 * @param hasNetwork whether there is an interface to a network
 * @param patience how long the boot may take
 */
record MachinePlan(
        Path kernel,
        MemorySegment initramfs,
        CommandLine commandLine,
        Path root,
        long memory,
        int vcpus,
        boolean hasNetwork,
        Duration patience) {

    /**
     * Makes a plan.
     *
     * @throws SandboxException if the kernel's modules can't be read
     */
    static MachinePlan of(BootSettings settings) {
        try {
            return new MachinePlan(
                    settings.kernel().file().toAbsolutePath(),
                    MemorySegment.ofArray(BootFiles.initramfs(settings)),
                    BootFiles.commandLine(settings),
                    settings.root().file().toAbsolutePath(),
                    settings.memory(),
                    settings.vcpus(),
                    settings.network().isPresent(),
                    settings.patience());
        } catch (IOException e) {
            throw new SandboxException("the kernel's modules can't be read: " + e.getMessage(), e);
        }
    }

    void write(DataOutputStream out) throws IOException {
        out.writeUTF(kernel.toString());
        out.writeInt((int) initramfs.byteSize());
        out.write(initramfs.toArray(ValueLayout.JAVA_BYTE));
        out.writeUTF(commandLine.toString());
        out.writeUTF(root.toString());
        out.writeLong(memory);
        out.writeInt(vcpus);
        out.writeBoolean(hasNetwork);
        out.writeLong(patience.toNanos());
    }

    static MachinePlan read(DataInputStream in) throws IOException {
        Path kernel = Path.of(in.readUTF());
        int size = in.readInt();
        byte[] initramfs = in.readNBytes(size);
        if (initramfs.length < size) {
            throw new EOFException("the plan of a machine is cut short");
        }
        return new MachinePlan(
                kernel,
                MemorySegment.ofArray(initramfs),
                CommandLine.parse(in.readUTF()),
                Path.of(in.readUTF()),
                in.readLong(),
                in.readInt(),
                in.readBoolean(),
                Duration.ofNanos(in.readLong()));
    }
}
