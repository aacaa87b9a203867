package io.github.jkvm.machine;

import io.github.jkvm.Device;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.snapshot.SavedMachine;
import java.io.OutputStream;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Says what a machine that is restored from a snapshot is connected to on this host: see {@link Machine#restore}. What the guest sees is the snapshot's.
 * For one thread, and for one machine.
 */
public final class RestoreBuilder {
    private final MachineSnapshot snapshot;
    private final MachineBuilder machine;
    private final Map<String, Device> devices = new LinkedHashMap<>();

    RestoreBuilder(Hypervisor hypervisor, MachineSnapshot snapshot) {
        this.snapshot = Objects.requireNonNull(snapshot, "snapshot");
        SavedMachine.Shape shape = snapshot.machine().shape();
        this.machine = new MachineBuilder(hypervisor)
                .board(shape.board())
                .memory(shape.memory())
                .vcpus(snapshot.vcpus())
                .from(snapshot);
        for (PcDevice device : PcDevice.values()) {
            if (!shape.pcDevices().contains(device)) {
                machine.without(device);
            }
        }
    }

    /**
     * Sets the name that the machine's threads begin with; {@code vm} if not set.
     *
     * @param value the name
     * @return this
     */
    public RestoreBuilder name(String value) {
        machine.name(value);
        return this;
    }

    /**
     * Sets where the guest's serial output goes, as {@link MachineBuilder#consoleOutput} does.
     *
     * @param stream the stream; stays the caller's to close
     * @return this
     */
    public RestoreBuilder consoleOutput(OutputStream stream) {
        machine.consoleOutput(stream);
        return this;
    }

    /**
     * Sets what the guest's battery-backed clock goes by; the host's time if not set.
     *
     * @param value the clock
     * @return this
     */
    public RestoreBuilder clock(Clock value) {
        machine.clock(value);
        return this;
    }

    /**
     * Sets how long the machine may run, as {@link MachineBuilder#deadline} does.
     *
     * @param limit the time, above zero
     * @return this
     * @throws IllegalArgumentException if it is not above zero
     */
    public RestoreBuilder deadline(Duration limit) {
        machine.deadline(limit);
        return this;
    }

    /**
     * Gives the device that takes the place of the snapshot's of the same name: of the same kind, with the same features, and with whatever it is connected
     * to on this host, such as another disk file with the same contents. The machine closes it in the end.
     *
     * @param device the device, not attached yet
     * @return this
     * @throws IllegalArgumentException if the snapshot has no device of this name among {@link MachineSnapshot#devices()}, or it was given before
     */
    public RestoreBuilder device(Device device) {
        String name = device.name();
        if (!snapshot.devices().contains(name)) {
            throw new IllegalArgumentException(
                    "the snapshot has no device '" + name + "'; it has " + snapshot.devices());
        }
        if (devices.putIfAbsent(name, device) != null) {
            throw new IllegalArgumentException("device '" + name + "' was given before");
        }
        return this;
    }

    /**
     * Makes the machine, which {@link Machine#start()} has go on where the snapshot was taken. If that fails, the devices that were attached by then are
     * closed.
     *
     * @return the machine, to be closed by the caller
     * @throws IllegalStateException if a device of the snapshot was not given, this builder has built a machine already, or the snapshot is closed
     * @throws IncompatibleSnapshotException if this host lacks what the guest needs
     * @throws IllegalArgumentException if a device does not take the state that was saved of it
     * @throws io.github.jkvm.HypervisorException if the host refuses something
     */
    public Machine build() {
        List<String> missing = new ArrayList<>(snapshot.devices());
        missing.removeAll(devices.keySet());
        if (!missing.isEmpty()) {
            throw new IllegalStateException("the snapshot has the devices " + snapshot.devices() + ", and " + missing
                    + " were not given; give one for each with device(...)");
        }
        // In the order of then, so that each finds the place that it had.
        snapshot.devices().forEach(name -> machine.device(Objects.requireNonNull(devices.get(name))));
        return snapshot.whileOpen(machine::build);
    }
}
