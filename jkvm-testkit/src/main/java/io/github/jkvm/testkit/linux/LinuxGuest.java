package io.github.jkvm.testkit.linux;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Gives a test a {@link LinuxMachine} that has booted and takes commands.
 *
 * <ul>
 *   <li>On a <b>static field</b>: one machine for all tests of the class, booted before its {@code @BeforeAll} methods.
 *   <li>On an <b>instance field</b>: a fresh machine for each test.
 *   <li>On a <b>parameter</b> of a test or of a {@code @BeforeEach} method: a fresh machine for each test; the two get different ones.
 * </ul>
 *
 * <p>{@snippet lang = java :
 * class LoopTest {
 *     @LinuxGuest(modules = {"loop", "ext4"}, programs = "mkfs.ext4")
 *     private static LinuxMachine machine;
 *
 *     @Test
 *     void mountsAFile() throws Exception {
 *         machine.run("truncate -s 8M /tmp/disk && mkfs.ext4 -q /tmp/disk && mount /tmp/disk /mnt");
 *     }
 * }
 * }
 *
 * <p>Only the first machine of its properties boots ({@link Boot#ONCE}), so that a fresh machine for each test costs little.
 *
 * <p>Devices are given to a machine by {@link LinuxMachine#builder()}. Where the host can't boot it, the tests are skipped as {@link
 * RequiresLinuxGuest} says. When a test fails, the end of each of its machines' kernel logs is added to the failure.
 */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.FIELD, ElementType.PARAMETER})
@ExtendWith(LinuxGuestExtension.class)
public @interface LinuxGuest {

    /**
     * Returns the kernel modules that are loaded, as {@link LinuxMachineBuilder#modules} does.
     *
     * @return their names
     */
    String[] modules() default {};

    /**
     * Returns the kernel modules that a command may load, as {@link LinuxMachineBuilder#modulesAtHand} does.
     *
     * @return their names
     */
    String[] modulesAtHand() default {};

    /**
     * Returns the programs of the host that the guest has, as {@link LinuxMachineBuilder#programs} does.
     *
     * @return their names
     */
    String[] programs() default {};

    /**
     * Returns how much memory the guest has.
     *
     * @return bytes, a multiple of 4096
     */
    long memory() default LinuxMachineBuilder.DEFAULT_MEMORY;

    /**
     * Returns the number of vCPUs.
     *
     * @return how many, 1 or more
     */
    int vcpus() default 1;

    /**
     * Returns what is added to the kernel's command line.
     *
     * @return words
     */
    String commandLine() default "";

    /**
     * Returns how long the boot, and each command that has no deadline of its own, may take.
     *
     * @return a number and {@code ms}, {@code s} or {@code min}
     */
    String deadline() default "3min";

    /**
     * Returns how commands reach the guest.
     *
     * @return the channel
     */
    ControlChannel channel() default ControlChannel.CONSOLE_PORT;

    /**
     * Returns how often it is booted.
     *
     * @return once for all machines of the same properties, unless it says otherwise
     */
    Boot boot() default Boot.ONCE;
}
