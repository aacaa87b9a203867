package io.github.jkvm;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A virtual machine: guest memory, vCPUs, and the ways to interrupt the guest and to be rung by it.
 *
 * <p>Safe for use by many threads. What only x86 has is in {@link io.github.jkvm.x86.X86Vm}.
 */
public interface Vm extends AutoCloseable {

    /**
     * Returns the hypervisor it was made from.
     *
     * @return the hypervisor
     */
    Hypervisor hypervisor();

    /**
     * Tells whether the host has a capability for this VM; the answer may differ from the hypervisor's.
     *
     * @param capability what is asked for
     * @return true if it has
     * @throws IllegalStateException if this VM is closed
     */
    boolean supports(Capability capability);

    /**
     * Returns the guest's memory.
     *
     * @return the memory, whose accessors throw {@link IllegalStateException} or {@link GuestMemoryException} once this VM is closed
     */
    GuestMemory memory();

    /**
     * Adds memory that the guest can read and write. May be called while the guest runs.
     *
     * @param base guest-physical address of its first byte, a multiple of the page size
     * @param backing where its bytes come from
     * @return the region
     * @throws IllegalArgumentException if the place or size is not a multiple of the page size or overlaps other memory
     * @throws IllegalStateException if this VM is closed
     * @throws HypervisorException if the host can't give the memory; the text says why
     */
    default MemoryRegion addMemory(GuestAddress base, MemoryBacking backing) {
        return addMemory(base, backing, MemoryRegion.Access.READ_WRITE);
    }

    /**
     * Adds memory. May be called while the guest runs.
     *
     * @param base guest-physical address of its first byte, a multiple of the page size
     * @param backing where its bytes come from
     * @param access what the guest may do with it
     * @return the region
     * @throws IllegalArgumentException if the place or size is not a multiple of the page size or overlaps other memory
     * @throws IllegalStateException if this VM is closed
     * @throws UnsupportedCapabilityException if the access needs one that the host lacks
     * @throws HypervisorException if the host can't give the memory; the text says why
     */
    MemoryRegion addMemory(GuestAddress base, MemoryBacking backing, MemoryRegion.Access access);

    /**
     * Takes memory from the guest and gives it back to the host. May be called while the guest runs: its accesses there become MMIO exits. The
     * region's accessors throw from then on.
     *
     * @param region a region of this VM
     * @throws IllegalArgumentException if it is not
     * @throws IllegalStateException if this VM is closed
     */
    void removeMemory(MemoryRegion region);

    /**
     * Starts recording which pages of a region the guest and the host write. Does nothing if it is on.
     *
     * @param region a region of this VM
     * @throws IllegalArgumentException if it is not
     * @throws IllegalStateException if this VM is closed
     */
    void startDirtyTracking(MemoryRegion region);

    /**
     * Stops recording and forgets the record. Does nothing if it is off.
     *
     * @param region a region of this VM
     * @throws IllegalArgumentException if it is not
     * @throws IllegalStateException if this VM is closed
     */
    void stopDirtyTracking(MemoryRegion region);

    /**
     * Returns the pages written since tracking started or since the last call, and begins anew.
     *
     * @param region a region of this VM
     * @return the pages, relative to the region
     * @throws IllegalArgumentException if it is not
     * @throws IllegalStateException if this VM is closed, or tracking is off
     */
    DirtyPages takeDirtyPages(MemoryRegion region);

    /**
     * Creates a vCPU.
     *
     * @param id its number, from 0, below the host's limit, not used before in this VM
     * @return the vCPU, closed with this VM
     * @throws IllegalArgumentException if the id is out of range or taken
     * @throws IllegalStateException if this VM is closed
     * @throws HypervisorException if the host refuses
     */
    VCpu createVCpu(int id);

    /**
     * Returns the vCPUs there are.
     *
     * @return an immutable list in the order of their making, without closed ones
     */
    List<VCpu> vcpus();

    /**
     * Returns a level-triggered interrupt input.
     *
     * @param gsi its number, from 0
     * @return the line
     * @throws IllegalArgumentException if the number is negative
     * @throws IllegalStateException if this VM is closed or has no interrupt controller
     */
    InterruptLine interruptLine(int gsi);

    /**
     * Creates an edge-triggered or message-signalled interrupt.
     *
     * @param gsi its number, from 0, given a meaning by the interrupt routes
     * @return the interrupt, closed with this VM
     * @throws IllegalStateException if this VM is closed or has no interrupt controller
     * @throws HypervisorException if the host refuses
     */
    Interrupt interrupt(int gsi);

    /**
     * Creates a level-triggered interrupt that is lowered when the guest ends it ({@link Capability#IRQFD_RESAMPLE}).
     *
     * @param gsi its number, from 0
     * @param loop where {@code onEnd} runs
     * @param onEnd called each time the guest has ended the interrupt, and now and then once more; looks whether the device still wants it, and
     *     signals again if so
     * @return the interrupt: signalling raises the line
     * @throws IllegalStateException if this VM is closed or has no interrupt controller
     * @throws HypervisorException if the host refuses
     */
    Interrupt resampledInterrupt(int gsi, EventLoop loop, Runnable onEnd);

    /**
     * Creates an interrupt whose message the guest chooses ({@link Capability#IRQ_ROUTING}), with a number that no route uses.
     *
     * @return the interrupt, closed with this VM
     * @throws IllegalStateException if this VM is closed or has no interrupt controller; on a host other than x86, also before the first
     *     {@link #setInterruptRoutes}
     * @throws UnsupportedCapabilityException if the host has no routes or irqfds
     * @throws HypervisorException if the host refuses, or has no number left
     */
    MessageInterrupt messageInterrupt();

    /**
     * Sets what the interrupt numbers mean that the program chooses itself, in place of all that was set before. Those of
     * {@linkplain #messageInterrupt() message interrupts} stay as they are.
     *
     * @param routes the routes, for all numbers in use
     * @throws IllegalArgumentException if there are more than the host takes, a number is too high, or it belongs to a message interrupt
     * @throws IllegalStateException if this VM is closed or has no interrupt controller
     * @throws HypervisorException if the host refuses
     */
    void setInterruptRoutes(List<InterruptRoute> routes);

    /**
     * Interrupts the guest with a message that needs no route ({@link Capability#SIGNAL_MSI}).
     *
     * @param address where the message is written, unsigned
     * @param data what is written
     * @return whether the guest took it, {@link Delivery#BLOCKED} if it masks or holds the vector already
     * @throws IllegalStateException if this VM is closed or has no interrupt controller
     * @throws HypervisorException if the host refuses
     */
    Delivery sendMessage(long address, int data);

    /** What became of an interrupt. */
    enum Delivery {
        /** The guest has it. */
        DELIVERED,
        /** The guest blocks it, or it merged into one that is pending. */
        BLOCKED
    }

    /**
     * Places a doorbell. May be called while the guest runs.
     *
     * @param match which writes ring it
     * @return the doorbell, closed with this VM
     * @throws IllegalStateException if this VM is closed
     * @throws UnsupportedCapabilityException if the host has no doorbells
     * @throws HypervisorException if the host refuses, for instance because there is one already
     */
    Doorbell doorbell(Doorbell.Match match);

    /**
     * Places a doorbell that signals an event of the caller's, which another process may wait for. May be called while the guest runs.
     *
     * @param match which writes ring it
     * @param event what they signal: an eventfd of the same host, which stays the caller's to close, after the doorbell
     * @return the doorbell, closed with this VM
     * @throws IllegalStateException if this VM or the event is closed
     * @throws IllegalArgumentException if the event is not of this kind
     * @throws UnsupportedCapabilityException if the host has no such doorbells, as is the case unless a backend says otherwise
     * @throws HypervisorException if the host refuses, for instance because there is one already
     */
    default Doorbell doorbell(Doorbell.Match match, HostFile event) {
        throw new UnsupportedCapabilityException(
                Capability.IOEVENTFD, "a doorbell for an event of the caller's; handle the guest's write instead");
    }

    /**
     * Starts an event loop.
     *
     * @param name name of its thread, or null for one that tells the VM
     * @return the loop, closed with this VM
     * @throws IllegalStateException if this VM is closed
     */
    EventLoop createEventLoop(@Nullable String name);

    /**
     * Ends the machine: interrupts its vCPUs and waits for their threads to leave them, then closes vCPUs, event loops, doorbells and
     * interrupts, and gives memory back last. Closing twice does nothing.
     */
    @Override
    void close();
}
