package io.github.jkvm;

import java.util.List;

/**
 * A device as a PCI bus sees it. Implemented by the device, which {@linkplain PciBus#plug plugs} it into a bus.
 *
 * <p>{@link #placed} and {@link #removed} are called while the function is plugged in, and then on the thread of the vCPU that moves
 * registers or in the machine's reset or restore. They must not throw, nor wait for another access to configuration space.
 */
public interface PciFunction {
    /** The most ranges of registers a function may have. */
    int MAX_BARS = 2;

    /** The most MSI-X vectors a function may have (6.8.2.3, "Table Size"). */
    int MAX_VECTORS = 2048;

    /**
     * Returns a name for messages.
     *
     * @return the name, not empty
     */
    String name();

    /**
     * Returns what the guest knows the function by.
     *
     * @return the identity
     */
    PciIdentity identity();

    /**
     * Returns the function's registers. The range at position n of the list has the 64-bit base address register (BAR) 2n. The bus itself
     * uses BAR 4, for the MSI-X vectors.
     *
     * @return the ranges, at most {@link #MAX_BARS}
     */
    List<PciBar> bars();

    /**
     * Returns the capabilities of the function, in the order in which the guest finds them. The bus adds that for MSI-X.
     *
     * @return the capabilities
     */
    default List<PciCapability> capabilities() {
        return List.of();
    }

    /**
     * Returns how many MSI-X vectors the function has.
     *
     * @return the number, 0 to {@link #MAX_VECTORS}
     */
    int vectors();

    /**
     * Tells that registers can be reached now, so that the function may put doorbells there.
     *
     * @param bar the position in {@link #bars()}
     * @param base the guest-physical address of the first register
     */
    default void placed(int bar, GuestAddress base) {}

    /**
     * Tells that registers that were placed can't be reached any more.
     *
     * @param bar the position in {@link #bars()}
     */
    default void removed(int bar) {}
}
