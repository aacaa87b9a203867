package io.github.jkvm.testkit.scripted;

/**
 * What a guest does, as Java code. Each vCPU runs the program from its beginning, when it is first run.
 *
 * <p>The program has a thread of its own, which takes turns with the one that runs the vCPU: each method of {@link ScriptedGuest} is an instruction,
 * done by the vCPU's thread while the program waits. Between two of them the program may do what it likes, such as look at what it read, wait
 * for the test, or assert. That time belongs to the instruction before: interrupts and deadlines end the run, but not the Java code.
 *
 * <ul>
 *   <li>A program that returns has halted for good: every run returns {@link io.github.jkvm.VmExit.Halt} from then on.
 *   <li>What a program throws is thrown by the run under way, and by each that follows, so that a failed assertion fails the test.
 *   <li>When the vCPU is closed the program's thread is interrupted, and the call that it waits in ends in an {@link Error} that it must not
 *       catch.
 * </ul>
 */
@FunctionalInterface
public interface GuestProgram {

    /**
     * Does what the guest does.
     *
     * @param guest the processor that the program runs on; to be used on the thread of this call only
     * @throws Exception if something fails: the run under way ends with it
     */
    void run(ScriptedGuest guest) throws Exception;
}
