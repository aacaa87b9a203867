package io.github.jkvm.it;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.scripted.ExitContract;
import io.github.jkvm.testkit.scripted.ImageContract;
import io.github.jkvm.testkit.scripted.LifetimeContract;
import io.github.jkvm.testkit.scripted.PairedGuest;
import io.github.jkvm.testkit.scripted.PartsContract;
import io.github.jkvm.testkit.scripted.RunContract;

/** KVM keeps the contracts that the testkit's scripted hypervisor keeps, so that what a test finds with the one holds with the other. */
@RequiresKvm
class KvmContractTest implements ExitContract, RunContract, LifetimeContract, PartsContract, ImageContract {
    @Override
    public Hypervisor open(PairedGuest guest) {
        return Hypervisor.open();
    }

    @Override
    public int repeats(int full) {
        return Lane.repeats(full);
    }
}
