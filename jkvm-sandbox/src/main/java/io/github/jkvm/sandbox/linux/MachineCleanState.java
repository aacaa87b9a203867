package io.github.jkvm.sandbox.linux;

import io.github.jkvm.machine.MachineSnapshot;
import io.github.jkvm.sandbox.SandboxException;
import java.util.function.Supplier;

/** The snapshot of a machine of this process that has booted, with the root it needs. */
final class MachineCleanState implements CleanState {
    private final BootSettings settings;
    private final Machines machines;
    private final MachineSnapshot snapshot;

    /** How many share this; guarded by this. */
    private int shares = 1;

    /**
     * Boots a guest, and keeps it as it is then.
     *
     * @throws SandboxException if it does not boot
     */
    MachineCleanState(BootSettings settings) {
        this.settings = settings;
        this.machines = new Machines(settings.hypervisor(), MachinePlan.of(settings));
        this.snapshot = machines.boot();
    }

    @Override
    public LinuxGuest start() {
        return machines.goOn(snapshot, settings.network().map(Supplier::get));
    }

    @Override
    public synchronized CleanState share() {
        if (shares == 0) {
            throw new IllegalStateException("this clean state is closed");
        }
        shares++;
        return this;
    }

    @Override
    public void close() {
        synchronized (this) {
            shares--;
            if (shares != 0) {
                return;
            }
        }
        snapshot.close();
        settings.root().close();
    }
}
