package io.github.jkvm.x86;

import io.github.jkvm.Hypervisor;
import java.util.List;

/** A hypervisor on an x86 host. */
public interface X86Hypervisor extends Hypervisor {

    /**
     * Returns the x86 view of a hypervisor.
     *
     * @param hypervisor the hypervisor
     * @return the same object
     * @throws UnsupportedOperationException if its host is another architecture
     */
    static X86Hypervisor of(Hypervisor hypervisor) {
        if (hypervisor instanceof X86Hypervisor x86) {
            return x86;
        }
        throw new UnsupportedOperationException(hypervisor.description() + " is not an x86 hypervisor");
    }

    /**
     * Returns all that a guest's {@code cpuid} can answer on this host: the start for {@link X86VCpu#setCpuid}.
     *
     * @return an immutable list
     * @throws IllegalStateException if this hypervisor is closed
     */
    List<CpuidEntry> supportedCpuid();

    /**
     * Returns what the host can emulate though the processor lacks it.
     *
     * @return an immutable list
     * @throws IllegalStateException if this hypervisor is closed
     */
    List<CpuidEntry> emulatedCpuid();

    /**
     * Returns the model-specific registers that belong to a vCPU's state.
     *
     * @return their indices
     * @throws IllegalStateException if this hypervisor is closed
     */
    List<Integer> msrIndices();

    /**
     * Returns the model-specific registers that tell what the host can do.
     *
     * @return their indices
     * @throws IllegalStateException if this hypervisor is closed
     */
    List<Integer> featureMsrIndices();

    /**
     * Reads registers that tell what the host can do.
     *
     * @param indices which
     * @return their values, in order
     * @throws IllegalStateException if this hypervisor is closed
     * @throws io.github.jkvm.HypervisorException if one can't be read; the text names it
     */
    List<Msr> featureMsrs(List<Integer> indices);
}
