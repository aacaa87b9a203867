package io.github.jkvm;

/** A PCI bus that functions are plugged into. Safe for use by many threads. */
public interface PciBus {

    /**
     * Plugs a function into the next free slot, and gives its registers a place, as firmware does. Called before the guest runs.
     *
     * @param function the function; its parts are read now and don't change later
     * @return the slot
     * @throws IllegalArgumentException if the function has more capabilities than configuration space has room for
     * @throws IllegalStateException if no slot is free, or there is no address range left for its registers
     * @throws io.github.jkvm.HypervisorException if the host can't give it the interrupts it wants
     */
    PciSlot plug(PciFunction function);
}
