package io.github.jkvm.it;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.testkit.HostFeature;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.scripted.FaultContract;
import io.github.jkvm.testkit.scripted.PairedGuest;

/** KVM keeps the contract of failing guests where it delivers exceptions as a processor does. */
@RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS)
class KvmFaultContractTest implements FaultContract {
    @Override
    public Hypervisor open(PairedGuest guest) {
        return Hypervisor.open();
    }

    @Override
    public int repeats(int full) {
        return Lane.repeats(full);
    }
}
