package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.x86.X86Vm;
import java.util.function.Consumer;

/**
 * What the contracts of the API need of a hypervisor to test it. Its sub-interfaces hold the tests, which are the same for each: where two differ, the one
 * that is not a real processor is wrong.
 */
public interface HypervisorContract {

    /**
     * Opens a hypervisor whose vCPUs run a guest.
     *
     * @param guest what they run: its program, unless there is a processor, which finds the code in memory
     * @return an open hypervisor
     */
    Hypervisor open(PairedGuest guest);

    /** Returns how often to repeat something. */
    int repeats(int full);

    default ContractGuest start(PairedGuest guest) {
        return start(vm -> {}, guest);
    }

    default ContractGuest start(Consumer<X86Vm> prepare, PairedGuest guest) {
        return new ContractGuest(open(guest), prepare, guest);
    }
}
