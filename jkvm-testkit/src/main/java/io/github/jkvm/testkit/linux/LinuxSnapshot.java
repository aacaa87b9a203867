package io.github.jkvm.testkit.linux;

import io.github.jkvm.Device;
import io.github.jkvm.machine.MachineSnapshot;
import java.time.Duration;

/**
 * A {@link LinuxMachine} as it was at one moment, from which any number of machines go on: a guest that was prepared once, with its file systems made and its
 * services started, for tests that each want it as it was.
 *
 * <p>{@snippet lang = java :
 * try (LinuxSnapshot prepared = machine.snapshot();
 *         LinuxMachine first = prepared.start();
 *         LinuxMachine second = prepared.start()) {
 *     first.run("rm -r /data");
 *     second.run("ls /data");
 * }
 * }
 *
 * <p>Safe for use by many threads. Machines go on after it is closed.
 */
public final class LinuxSnapshot implements AutoCloseable {
    private final MachineSnapshot snapshot;
    private final ControlChannel channel;
    private final Duration deadline;

    LinuxSnapshot(MachineSnapshot snapshot, ControlChannel channel, Duration deadline) {
        this.snapshot = snapshot;
        this.channel = channel;
        this.deadline = deadline;
    }

    /**
     * Has a machine go on from here. Its time goes on from now, and its random numbers are its own.
     *
     * @param devices one for each device that the snapshot's machine was given, of the same name and kind and over the same transport
     * @return the machine, which takes commands, to be closed by the caller
     * @throws IllegalArgumentException if the snapshot has no device of a name, or a device does not take the state that was saved of it
     * @throws IllegalStateException if a device is missing, or this is closed
     * @throws io.github.jkvm.HypervisorException if the host refuses
     */
    public LinuxMachine start(Device... devices) {
        return LinuxMachine.goOn(snapshot, channel, deadline, devices);
    }

    /**
     * Returns the machine's snapshot, to be saved to a folder or looked at.
     *
     * @return the snapshot; stays this object's to close
     */
    public MachineSnapshot machine() {
        return snapshot;
    }

    /** Gives back the memory that the snapshot takes. Closing twice does nothing. */
    @Override
    public void close() {
        snapshot.close();
    }
}
