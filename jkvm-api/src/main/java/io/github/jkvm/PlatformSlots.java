package io.github.jkvm;

import java.util.ArrayList;
import java.util.List;

/**
 * The places that a board has for devices that guests are told of. They are given out in order, so the same devices attached in the same
 * order get the same places. A board hands this to {@link VmBus#usePlatformSlots} before devices are attached, and describes
 * {@link #taken()} to the guest afterwards. Safe for use by many threads.
 */
public final class PlatformSlots {
    private static final long PAGE = 4096;

    private final GuestAddress window;
    private final long windowSize;
    private final List<Integer> gsis;
    private final List<PlatformSlot> taken = new ArrayList<>();
    private long used;

    /**
     * Creates the slots.
     *
     * @param window first guest-physical address of the range for registers, a multiple of 4096
     * @param windowSize its size in bytes, 1 or more
     * @param gsis the interrupts to give out, in this order, one for each slot
     * @throws IllegalArgumentException if the window is empty or does not start on a page
     */
    public PlatformSlots(GuestAddress window, long windowSize, List<Integer> gsis) {
        if (windowSize < 1 || window.value() % PAGE != 0) {
            throw new IllegalArgumentException("window of " + windowSize + " bytes at " + window
                    + " for platform devices needs a size of 1 or more and a base that is a multiple of 4096");
        }
        this.window = window;
        this.windowSize = windowSize;
        this.gsis = List.copyOf(gsis);
    }

    /**
     * Gives out the next slot. Registers of different devices never share a page.
     *
     * @param hardwareId what the guest knows the device by
     * @param size size of its registers in bytes, 1 or more
     * @return the slot
     * @throws IllegalArgumentException if the size is below 1
     * @throws IllegalStateException if no interrupt or no room is left
     */
    public synchronized PlatformSlot take(String hardwareId, long size) {
        if (size < 1) {
            throw new IllegalArgumentException(
                    "registers of " + hardwareId + " have " + size + " bytes; 1 or more are needed");
        }
        int index = taken.size();
        if (index == gsis.size()) {
            throw new IllegalStateException(hardwareId + " needs an interrupt, but all " + index
                    + " for platform devices are taken; attach further devices to the PCI bus");
        }
        if (size > windowSize - used) {
            throw new IllegalStateException(
                    hardwareId + " needs " + size + " bytes for registers, but " + (windowSize - used) + " of "
                            + windowSize + " at " + window + " are left; attach further devices to the PCI bus");
        }
        var slot = new PlatformSlot(hardwareId, index, GuestAddress.of(window.value() + used), size, gsis.get(index));
        used += Math.min(windowSize - used, (size + PAGE - 1) & -PAGE);
        taken.add(slot);
        return slot;
    }

    /**
     * Returns what was given out.
     *
     * @return the slots in the order they were taken
     */
    public synchronized List<PlatformSlot> taken() {
        return List.copyOf(taken);
    }
}
