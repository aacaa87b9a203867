package io.github.jkvm.testkit.linux;

import io.github.jkvm.Capability;
import io.github.jkvm.testkit.HostFeature;
import io.github.jkvm.testkit.RequiresKvm;
import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The tests boot a stock kernel in a {@link LinuxMachine}. Where the host has no KVM that can run one, no kernel in {@code /boot} or no
 * busybox, they are skipped with a sentence that says what to install, or fail if the system property {@value RequiresKvm#SKIPS_PROPERTY} is
 * {@code fail}.
 *
 * <p>A class that gets all its guests by {@link LinuxGuest} needs this only to be skipped before its {@code @BeforeAll}. What a single guest
 * lacks beyond it, such as a program of the host, skips the test that asks for it in the same way.
 */
@Documented
@Inherited
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.METHOD})
@RequiresKvm(
        value = {Capability.IRQCHIP, Capability.PIT2, Capability.IRQ_ROUTING},
        features = HostFeature.LONG_MODE_EXCEPTIONS)
@ExtendWith(RequiresLinuxGuestCondition.class)
public @interface RequiresLinuxGuest {}
