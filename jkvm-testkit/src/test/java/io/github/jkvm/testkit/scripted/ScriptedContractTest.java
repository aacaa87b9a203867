package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Hypervisor;

/** The scripted hypervisor keeps the contracts of the API. */
class ScriptedContractTest
        implements ExitContract, FaultContract, RunContract, LifetimeContract, PartsContract, ImageContract {
    @Override
    public Hypervisor open(PairedGuest guest) {
        return ScriptedHypervisor.running(guest.program());
    }

    @Override
    public int repeats(int full) {
        return full;
    }
}
