package io.github.jkvm;

/**
 * What a {@link Device} can ask of the machine it is attached to. {@link VmBus} is the implementation over a {@link Vm}.
 *
 * <p>Claims are made in {@link Device#attach}; what is claimed lasts as long as the machine unless it says otherwise.
 */
public interface Bus {

    /**
     * Returns the guest's memory, for devices that read and write it (DMA).
     *
     * @return the memory
     */
    GuestMemory memory();

    /**
     * Claims a range of I/O ports.
     *
     * @param first the first port, 0 to 0xffff
     * @param count how many, 1 or more
     * @param handler what answers there
     * @param owner name of the device, for messages
     * @return closing it gives the range back
     * @throws IllegalArgumentException if the range is not inside 0 to 0xffff or overlaps one that is claimed
     */
    Claim claimPorts(int first, int count, IoHandler handler, String owner);

    /**
     * Claims a range of guest-physical addresses for device registers.
     *
     * @param base the first address
     * @param size size in bytes, 1 or more
     * @param handler what answers there
     * @param owner name of the device, for messages
     * @return closing it gives the range back
     * @throws IllegalArgumentException if the range passes the end of the address space or overlaps one that is claimed or memory
     */
    Claim claimMmio(GuestAddress base, long size, IoHandler handler, String owner);

    /** A range that is claimed. */
    interface Claim extends AutoCloseable {
        /** Gives the range back. Closing twice does nothing. */
        @Override
        void close();
    }

    /**
     * Returns a level-triggered interrupt input.
     *
     * @param gsi its number
     * @return the line
     * @throws IllegalArgumentException if there is no such input
     */
    InterruptLine interruptLine(int gsi);

    /**
     * Returns an edge-triggered or message-signalled interrupt.
     *
     * @param gsi its number, given a meaning by the machine's interrupt routes
     * @return the interrupt, to be closed by the device
     * @throws HypervisorException if the host refuses
     */
    Interrupt interrupt(int gsi);

    /**
     * Returns an interrupt whose message the guest chooses.
     *
     * @return the interrupt, to be closed by the device
     * @throws HypervisorException if the host refuses, or has no number left
     */
    MessageInterrupt messageInterrupt();

    /**
     * Places a doorbell.
     *
     * @param match which writes ring it
     * @return the doorbell, to be closed by the device
     * @throws HypervisorException if the host refuses, for instance because there is one already
     */
    Doorbell doorbell(Doorbell.Match match);

    /**
     * Places a doorbell that signals an event of the host's, which another process may wait for.
     *
     * @param match which writes ring it
     * @param event what they signal, of the same host; stays the caller's to close, after the doorbell
     * @return the doorbell, to be closed by the device
     * @throws UnsupportedCapabilityException if the host can't do that, as is the case unless a bus says otherwise
     * @throws HypervisorException if the host refuses, for instance because there is one already
     */
    default Doorbell doorbell(Doorbell.Match match, HostFile event) {
        throw new UnsupportedCapabilityException(
                Capability.IOEVENTFD, "a doorbell for an event of the device's own; handle the guest's write instead");
    }

    /**
     * Finds a place for a device that the guest is told of instead of finding it by probing, and has the board tell it. The place is not
     * claimed yet.
     *
     * @param hardwareId what the guest knows the device by, such as the ACPI id {@code LNRO0005}
     * @param size size of its registers in bytes, 1 or more
     * @return the place and the interrupt
     * @throws IllegalArgumentException if the size is below 1
     * @throws IllegalStateException if no place is left
     * @throws UnsupportedOperationException if the board has none
     */
    PlatformSlot platformSlot(String hardwareId, long size);

    /**
     * Gives the guest memory that belongs to a device, at a free place of the address space. It stays as long as the machine.
     *
     * @param backing where its bytes come from
     * @param alignment what its address must be a multiple of, in bytes: a power of two
     * @return the memory, part of {@link #memory()} from now on
     * @throws IllegalArgumentException if the alignment is no power of two, or the size is no multiple of the page size
     * @throws IllegalStateException if no place is left
     * @throws UnsupportedOperationException if the board has none, as is the case unless a bus says otherwise
     * @throws HypervisorException if the host can't give the memory
     */
    default MemoryRegion mapMemory(MemoryBacking backing, long alignment) {
        throw new UnsupportedOperationException(
                "this bus has no place for memory of devices; attach the device to a board that has, such as a PC");
    }

    /**
     * Returns the machine's PCI bus.
     *
     * @return the bus
     * @throws UnsupportedOperationException if it has none
     */
    PciBus pci();

    /**
     * Returns the thread on which the machine's devices do their work.
     *
     * @return the loop, owned by the machine
     */
    EventLoop eventLoop();

    /**
     * Starts a thread for the work of one device, which has to wait for others: on {@link #eventLoop()} all devices would wait with it.
     *
     * @param name name of the thread
     * @return the loop, to be closed by the device
     * @throws UnsupportedOperationException if this bus has no more than one thread, as is the case unless it says otherwise
     */
    default EventLoop createEventLoop(String name) {
        throw new UnsupportedOperationException("this bus has no thread of its own for " + name);
    }
}
