package io.github.jkvm;

/**
 * An interrupt whose message (MSI) the guest chooses, as drivers do with the vectors of PCI devices.
 *
 * <p>Made by {@link Vm#messageInterrupt()}, which finds a number for it. Until it has a message, signals are lost. Safe for use by many
 * threads.
 */
public interface MessageInterrupt extends Interrupt {

    /**
     * Sets what {@link #signal()} sends from now on. Setting what is set already costs nothing; a change makes the hypervisor read all routes
     * of the VM anew.
     *
     * @param address where the message is written, unsigned; where no interrupt controller listens, the message is lost
     * @param data what is written
     * @throws IllegalStateException if this interrupt or its VM is closed
     * @throws HypervisorException if the host refuses
     */
    void setMessage(long address, int data);
}
