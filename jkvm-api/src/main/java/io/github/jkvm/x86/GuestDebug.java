package io.github.jkvm.x86;

import java.util.List;
import java.util.Set;

/**
 * What the host wants to be told of the guest's execution ({@code struct kvm_guest_debug}); each event is an
 * {@link io.github.jkvm.VmExit.Debug}.
 *
 * @param features what is watched; empty for nothing
 * @param breakpoints addresses for debug registers 0 to 3, up to four, used with {@link Feature#HARDWARE_BREAKPOINTS}
 * @param dr7 debug control register for them (SDM volume 3, 19.2.4)
 */
public record GuestDebug(Set<Feature> features, List<Long> breakpoints, long dr7) {
    /** Nothing is watched. */
    public static final GuestDebug OFF = new GuestDebug(Set.of(), List.of(), 0);

    /** A kind of event. */
    public enum Feature {
        /** Every instruction. */
        SINGLE_STEP,
        /** The {@code int3} instruction. */
        SOFTWARE_BREAKPOINTS,
        /** Break and watch points of the debug registers. */
        HARDWARE_BREAKPOINTS,
        /** No interrupts are delivered while stepping. */
        BLOCK_INTERRUPTS
    }

    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if there are more than four break points
     */
    public GuestDebug {
        features = Set.copyOf(features);
        breakpoints = List.copyOf(breakpoints);
        if (breakpoints.size() > 4) {
            throw new IllegalArgumentException("got " + breakpoints.size() + " break points; the processor has 4");
        }
    }
}
