package io.github.jkvm.testkit;

import io.github.jkvm.VmExit;
import java.time.Duration;

/** Why a {@link MicroGuest} does not run any more. */
public sealed interface GuestStop {

    /** It executed a halt instruction. Running it again goes on behind it. */
    record Halted() implements GuestStop {}

    /**
     * It asked to be ended, by a write to {@link MicroGuest#EXIT_PORT}.
     *
     * @param status what it wrote
     */
    record PoweredOff(int status) implements GuestStop {}

    /**
     * It reported something, by a write to {@link MicroGuest#REPORT_PORT}. Running it again goes on behind that.
     *
     * @param value what it wrote
     */
    record Reported(int value) implements GuestStop {}

    /** Its processor gave up: an exception while it delivered a double fault, for want of an interrupt table for instance. */
    record TripleFaulted() implements GuestStop {}

    /**
     * It touched an address where there is neither memory nor a device.
     *
     * @param access the read or write
     */
    record TouchedNothing(GuestExit access) implements GuestStop {}

    /** It printed what was waited for. */
    record Printed() implements GuestStop {}

    /**
     * It was still running when its time was over.
     *
     * @param limit how long it could run
     */
    record RanOutOfTime(Duration limit) implements GuestStop {}

    /** {@link io.github.jkvm.VCpu#interrupt()} was called by somebody. */
    record Interrupted() implements GuestStop {}

    /**
     * It stopped for something that a micro-guest has no use for.
     *
     * @param exit what it was
     */
    record Other(VmExit exit) implements GuestStop {}
}
