package io.github.jkvm.x86;

/**
 * The guest's paravirtual clock ({@code struct kvm_clock_data}).
 *
 * @param clock nanoseconds since the VM was made
 * @param flags which other parts are valid: 2 the clock is stable, 4 {@code realtime}, 8 {@code hostTsc} ({@code KVM_CLOCK_*})
 * @param realtime the host's wall clock at that moment, in nanoseconds
 * @param hostTsc the host's time stamp counter at that moment
 */
public record ClockState(long clock, int flags, long realtime, long hostTsc) {}
