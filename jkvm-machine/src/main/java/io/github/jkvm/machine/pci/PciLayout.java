package io.github.jkvm.machine.pci;

import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.boot.MemoryMap;
import java.util.ArrayList;
import java.util.List;

/**
 * Where a {@link PciHost} is in a guest's address space, and which interrupts its pins have.
 *
 * @param configuration where configuration space is mapped (ECAM): {@link #CONFIGURATION_SIZE} bytes at a multiple of that, not given to
 *     the guest as memory
 * @param windows ranges for the registers of functions, tried in this order; at least one
 * @param pinGsis the global system interrupts of the pins: device n has number n modulo their count; one to four
 */
public record PciLayout(GuestRange configuration, List<GuestRange> windows, List<Integer> pinGsis) {
    /** Size of the configuration space of a bus: 32 devices with 8 functions of 4 KiB (PCI Express 4.0, 7.2.2). */
    public static final long CONFIGURATION_SIZE = 1 << 20;

    private static final int MAX_PINS = 4;

    private static final GuestRange PC_CONFIGURATION = new GuestRange(0xE000_0000L, CONFIGURATION_SIZE);
    private static final GuestRange PC_LOW_WINDOW = GuestRange.between(0xE010_0000L, 0xFEB0_0000L);

    /** Those inputs of the IOAPIC that a PC gives its PCI pins. */
    private static final List<Integer> PC_PINS = List.of(16, 17, 18, 19);

    /** Where a PC has its second window if its RAM does not reach that far: 512 GiB, which leaves room for memory of devices below. */
    public static final long HIGH_WINDOW_START = 512L << 30;

    private static final long HIGH_WINDOW_SIZE = 32L << 30;

    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if configuration space has another size or alignment, there is no window, or no or more than four pins
     */
    public PciLayout {
        windows = List.copyOf(windows);
        pinGsis = List.copyOf(pinGsis);
        if (configuration.size() != CONFIGURATION_SIZE || configuration.start() % CONFIGURATION_SIZE != 0) {
            throw new IllegalArgumentException("PCI configuration space in " + configuration + " must have "
                    + CONFIGURATION_SIZE + " bytes at a multiple of that");
        }
        if (windows.isEmpty() || pinGsis.isEmpty() || pinGsis.size() > MAX_PINS) {
            throw new IllegalArgumentException("a PCI bus with " + windows.size() + " windows and " + pinGsis.size()
                    + " pins; it needs one window or more, and one to " + MAX_PINS + " pins");
        }
    }

    /**
     * Returns the layout of a PC board: configuration space and a window in the hole for devices below 4 GiB; and a second window at
     * {@link #HIGH_WINDOW_START} or above the RAM, if the processor has enough address bits.
     *
     * @param ramSize size of the guest's RAM in bytes, as {@link MemoryMap#ramOf} takes it
     * @param addressBits how many bits a guest-physical address has, 32 to 52
     * @return the layout
     * @throws IllegalArgumentException if a number is out of range
     */
    public static PciLayout pc(long ramSize, int addressBits) {
        if (addressBits < Integer.SIZE || 1L << addressBits > GuestRange.ADDRESS_SPACE) {
            throw new IllegalArgumentException(addressBits + " bits of address; it must be from 32 to 52");
        }
        List<GuestRange> windows = new ArrayList<>();
        windows.add(PC_LOW_WINDOW);
        long memoryEnd = MemoryMap.ramOf(ramSize).getLast().end();
        long high = Math.max(HIGH_WINDOW_START, (memoryEnd + HIGH_WINDOW_SIZE - 1) & -HIGH_WINDOW_SIZE);
        if (high <= (1L << addressBits) - HIGH_WINDOW_SIZE) {
            windows.add(new GuestRange(high, HIGH_WINDOW_SIZE));
        }
        return new PciLayout(PC_CONFIGURATION, windows, PC_PINS);
    }
}
