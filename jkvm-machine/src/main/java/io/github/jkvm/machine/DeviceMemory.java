package io.github.jkvm.machine;

import io.github.jkvm.AddressWindow;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.pci.PciLayout;
import io.github.jkvm.x86.CpuidEntry;
import java.util.List;
import java.util.Optional;

/** Where a PC has memory that belongs to devices: above its RAM and below the addresses that the PCI bus gives out. */
final class DeviceMemory {
    /** Where the window ends if the processor has that many addresses. */
    private static final long END = PciLayout.HIGH_WINDOW_START;

    /** CPUID leaf 80000008: EAX bits 0 to 7 are the bits of a physical address (AMD APM volume 3, E.4.7; Intel SDM volume 2, CPUID). */
    private static final int ADDRESS_SIZES = 0x8000_0008;

    /** What a processor without that leaf has (Intel SDM volume 3, 4.1.4). */
    private static final int FEWEST_BITS = 36;

    /** The most there can be (Intel SDM volume 3, 4.1.4). */
    private static final int MOST_BITS = 52;

    private static final long ALIGNMENT = 1L << 30;

    private DeviceMemory() {}

    /**
     * Returns the window: the upper half of what lies below its end, as far as RAM does not reach into it.
     *
     * @param ram the guest's RAM
     * @param cpuid what the host's processors answer
     * @return the window; empty if RAM takes all
     */
    static Optional<AddressWindow> window(List<GuestRange> ram, List<CpuidEntry> cpuid) {
        long end = Math.min(END, 1L << addressBits(cpuid));
        long ramEnd = ram.stream().mapToLong(GuestRange::end).max().orElse(0);
        long start = Math.max(end / 2, (ramEnd + ALIGNMENT - 1) & -ALIGNMENT);
        return start < end ? Optional.of(new AddressWindow(GuestAddress.of(start), end - start)) : Optional.empty();
    }

    /** Returns how many bits a guest-physical address has. */
    static int addressBits(List<CpuidEntry> cpuid) {
        return cpuid.stream()
                .filter(entry -> entry.function() == ADDRESS_SIZES)
                .mapToInt(entry -> Math.clamp(entry.eax() & 0xFF, FEWEST_BITS, MOST_BITS))
                .findFirst()
                .orElse(FEWEST_BITS);
    }
}
