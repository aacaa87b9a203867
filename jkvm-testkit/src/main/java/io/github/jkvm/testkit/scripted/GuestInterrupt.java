package io.github.jkvm.testkit.scripted;

/** An interrupt that reached a scripted VM, as the guest and the test see it. */
public sealed interface GuestInterrupt {

    /**
     * An asserted {@linkplain io.github.jkvm.Vm#interruptLine line}, or a {@linkplain io.github.jkvm.Vm#resampledInterrupt resampled interrupt}. It
     * comes again after {@link ScriptedGuest#endInterrupt} if the line is still asserted.
     *
     * @param gsi the number of the line
     */
    record Line(int gsi) implements GuestInterrupt {}

    /**
     * An edge on a pin of an interrupt controller, from {@link io.github.jkvm.Vm#interrupt} or {@link io.github.jkvm.InterruptLine#pulse}.
     *
     * @param gsi the number of the interrupt
     */
    record Edge(int gsi) implements GuestInterrupt {}

    /**
     * A message, from {@link io.github.jkvm.Vm#messageInterrupt}, {@link io.github.jkvm.Vm#sendMessage} or an interrupt that is routed to one.
     *
     * @param address where the message is written, unsigned
     * @param data what is written
     */
    record Message(long address, int data) implements GuestInterrupt {}

    /**
     * A vector from {@link io.github.jkvm.x86.X86VCpu#queueInterrupt}.
     *
     * @param vector 0 to 255
     */
    record Vector(int vector) implements GuestInterrupt {}

    /** A non-maskable interrupt, from {@link io.github.jkvm.x86.X86VCpu#nmi}. */
    record NonMaskable() implements GuestInterrupt {}
}
