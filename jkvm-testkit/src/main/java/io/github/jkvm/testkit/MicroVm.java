package io.github.jkvm.testkit;

import io.github.jkvm.machine.boot.EntryMode;
import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Gives a test a {@link MicroGuest}, ready to be loaded or, with {@link #program()}, to run.
 *
 * <ul>
 *   <li>On a <b>static field</b>: one guest for all tests of the class.
 *   <li>On an <b>instance field</b>: a fresh guest for each test.
 *   <li>On a <b>parameter</b> of a test or of a {@code @BeforeEach} method: a fresh guest for each test; the two get different ones.
 *   <li>On a <b>class</b>: what its {@code MicroGuest} parameters without the annotation are like.
 * </ul>
 *
 * <p>{@snippet lang = java :
 * @MicroVm
 * class GreetingTest {
 *     @Test
 *     void greets(MicroGuest guest) {
 *         guest.load(code);
 *         assertThat(guest).halts().hasPrinted("Hi");
 *     }
 * }
 * }
 *
 * <p>Where the host can't run VMs the tests are skipped, as {@link RequiresKvm} says. When a test fails, the report of each of its guests is
 * added to the failure. Tests may run in parallel; those that share a guest of a static field take turns only if they arrange it
 * ({@code @Execution(SAME_THREAD)}).
 */
@Documented
@Inherited
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.FIELD, ElementType.PARAMETER})
@ExtendWith(MicroVmExtension.class)
@RequiresKvm
public @interface MicroVm {

    /**
     * Returns how much memory the guest has.
     *
     * @return bytes, a multiple of 4096 from 128 KiB to 3 GiB
     */
    long memory() default MicroGuestBuilder.DEFAULT_MEMORY;

    /**
     * Returns the mode in which code without a header is entered.
     *
     * @return the mode
     */
    EntryMode mode() default EntryMode.LONG64;

    /**
     * Returns how long each run of the guest may take.
     *
     * @return a number and {@code ms}, {@code s} or {@code min}
     */
    String deadline() default "10s";

    /**
     * Returns what is loaded before the test begins: the name of a resource beside the test class. A name that ends in {@code .c} is C code for
     * {@link GuestCompiler}; an ELF file is loaded as its header says, any other as code in the guest's mode.
     *
     * @return the name, relative to the test's class, or absolute with a slash; empty for none
     */
    String program() default "";
}
