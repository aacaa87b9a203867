package io.github.jkvm.x86;

import java.util.List;

/**
 * The 8254 timer ({@code struct kvm_pit_state2}).
 *
 * @param channels its three channels
 * @param flags bit 0: the HPET takes over (legacy replacement); bit 1: the speaker's data bit
 */
public record PitState(List<Channel> channels, int flags) {
    /**
     * Checks the parts.
     *
     * @throws IllegalArgumentException if there are not three channels
     */
    public PitState {
        channels = List.copyOf(channels);
        if (channels.size() != 3) {
            throw new IllegalArgumentException("got " + channels.size() + " timer channels; there are 3");
        }
    }

    /**
     * One channel ({@code struct kvm_pit_channel_state}).
     *
     * @param count start value, up to 65536
     * @param latchedCount value that was latched
     * @param countLatched how much of it is still to be read
     * @param statusLatched 1 if the status is latched
     * @param status the latched status
     * @param readState which byte is read next
     * @param writeState which byte is written next
     * @param writeLatch low byte of a value half written
     * @param rwMode how bytes are accessed
     * @param mode counting mode
     * @param bcd 1 if it counts in decimal
     * @param gate its gate input
     * @param countLoadTime when it was loaded, in nanoseconds of the host's monotonic clock
     */
    public record Channel(
            int count,
            int latchedCount,
            int countLatched,
            int statusLatched,
            int status,
            int readState,
            int writeState,
            int writeLatch,
            int rwMode,
            int mode,
            int bcd,
            int gate,
            long countLoadTime) {}
}
