package io.github.jkvm;

import java.time.Duration;

/**
 * A virtual processor.
 *
 * <p>One platform thread at a time runs it, and only while none runs it may its state be read and written. {@link #interrupt()} and
 * {@link #close()} may be called from any thread at any time. Running on a virtual thread works but holds its carrier
 * for as long as the guest runs; use a platform thread.
 *
 * <p>The processor's state is in the sub-interface of its architecture: {@link io.github.jkvm.x86.X86VCpu}.
 */
public interface VCpu extends AutoCloseable {

    /**
     * Returns the number of this vCPU in its VM.
     *
     * @return the id it was made with, from 0
     */
    int id();

    /**
     * Returns the VM it belongs to.
     *
     * @return the VM
     */
    Vm vm();

    /**
     * Runs the guest until it needs the host.
     *
     * @return why it stopped
     * @throws IllegalStateException if this vCPU is closed, or closed meanwhile, or another thread runs it
     * @throws HypervisorException if the host fails to run it
     */
    VmExit run();

    /**
     * Runs the guest until it needs the host, or for a time at most.
     *
     * @param limit the longest time to run; zero or negative lets no guest instruction run but finishes pending input
     * @return why it stopped, {@link VmExit.DeadlineReached} if the time was over first
     * @throws IllegalStateException if this vCPU is closed, or closed meanwhile, or another thread runs it
     * @throws HypervisorException if the host fails to run it
     */
    VmExit run(Duration limit);

    /**
     * Runs the guest, handing port and MMIO exits to a handler, until it stops for another reason. Allocates nothing for an exit that is
     * handed over.
     *
     * @param handler what serves ports and MMIO, called on this thread
     * @return why it stopped; never {@link VmExit.PortIn}, {@link VmExit.PortOut}, {@link VmExit.MmioRead} or {@link VmExit.MmioWrite}
     * @throws IllegalStateException if this vCPU is closed, or closed meanwhile, or another thread runs it
     * @throws HypervisorException if the host fails to run it
     */
    VmExit run(ExitHandler handler);

    /**
     * Runs the guest as {@link #run(ExitHandler)} does, for a time at most.
     *
     * @param handler what serves ports and MMIO, called on this thread
     * @param limit the longest time to run in all, zero or negative as in {@link #run(Duration)}
     * @return why it stopped, {@link VmExit.DeadlineReached} if the time was over first
     * @throws IllegalStateException if this vCPU is closed, or closed meanwhile, or another thread runs it
     * @throws HypervisorException if the host fails to run it
     */
    VmExit run(ExitHandler handler, Duration limit);

    /**
     * Makes {@code run} return {@link VmExit.Interrupted}: the one under way, or if there is none, the next one before it runs any guest
     * instruction. Calls merge until a run has returned for them; none is lost. Does nothing once this vCPU is closed.
     */
    void interrupt();

    /**
     * Answers the exit that {@code run} last returned. Without an answer a read gives all ones, an MSR access faults, and a
     * hypercall returns all ones.
     *
     * @param value for a read the value, little-endian, of which as many bytes are used as were asked for (each element of a string
     *     instruction gets it); for an MSR read its value; for a hypercall its result; ignored for an MSR write
     * @throws IllegalStateException if the last exit wants no answer, has one, or this vCPU is closed or run by another thread
     */
    void respond(long value);

    /**
     * Answers a {@link VmExit.PortIn} of several elements or an {@link VmExit.MmioRead} with bytes.
     *
     * @param data the bytes, exactly as many as were asked for ({@code size * count})
     * @throws IllegalArgumentException if their number is another
     * @throws IllegalStateException if the last exit is neither, has an answer, or this vCPU is closed or run by another thread
     */
    void respond(Bytes data);

    /**
     * Answers a {@link VmExit.ReadMsr} or {@link VmExit.WriteMsr} with a general protection fault in the guest.
     *
     * @throws IllegalStateException if the last exit is neither, has an answer, or this vCPU is closed or run by another thread
     */
    void respondFault();

    /**
     * Interrupts the vCPU if it runs, waits for its thread to leave it, and gives it back to the host; that run ends in an
     * {@link IllegalStateException}. From within an {@link ExitHandler} of this vCPU, the waiting is left to {@code run}. Closing twice does
     * nothing.
     */
    @Override
    void close();
}
