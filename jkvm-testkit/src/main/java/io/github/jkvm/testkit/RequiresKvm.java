package io.github.jkvm.testkit;

import io.github.jkvm.Capability;
import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The test class or method needs a host that can run VMs, with what is listed. Where something is missing the test is skipped with a
 * sentence that says what, or fails if the system property {@value #SKIPS_PROPERTY} is {@code fail}.
 *
 * <p>What the host can do is learnt once in a JVM.
 */
@Documented
@Inherited
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.METHOD})
@ExtendWith(RequiresKvmCondition.class)
public @interface RequiresKvm {
    /** Name of the system property that turns skips into failures when it is {@code fail}. */
    String SKIPS_PROPERTY = "jkvm.testkit.skips";

    /**
     * Returns the capabilities that the hypervisor must have.
     *
     * @return the capabilities
     */
    Capability[] value() default {};

    /**
     * Returns what the host must be able to do for a guest.
     *
     * @return the features
     */
    HostFeature[] features() default {};

    /**
     * Returns how many vCPUs a VM must be able to have.
     *
     * @return the number, 1 or more
     */
    int vcpus() default 1;
}
