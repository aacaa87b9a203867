package io.github.jkvm.kvm;

import java.util.List;

/**
 * Which performance events a guest can count ({@code struct kvm_pmu_event_filter}).
 *
 * @param action what is done with the events listed
 * @param encoding what the numbers are
 * @param events the events, at most 300 on hosts to date
 * @param fixedCounterBitmap the fixed counters listed: bit 0 is the first
 */
public record PmuEventFilter(Action action, Encoding encoding, List<Long> events, int fixedCounterBitmap) {

    /** What is done with the events listed. */
    public enum Action {
        /** They alone are counted. */
        ALLOW,
        /** They alone are not counted. */
        DENY
    }

    /** What the numbers of events are. */
    public enum Encoding {
        /** Event select and unit mask as in the processor's {@code IA32_PERFEVTSEL} registers. */
        EVENTS,
        /** Event select with a masked match of the unit mask ({@code KVM_PMU_ENCODE_MASKED_ENTRY}; since Linux 6.3). */
        MASKED_EVENTS
    }

    /** Copies the events. */
    public PmuEventFilter {
        events = List.copyOf(events);
    }
}
