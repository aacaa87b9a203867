package io.github.jkvm.it.linux;

import io.github.jkvm.Capability;
import io.github.jkvm.testkit.HostFeature;
import io.github.jkvm.testkit.RequiresKvm;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Timeout;

/**
 * The tests of the class boot a stock kernel in a {@link LinuxGuest}. They are skipped, with the reason, on a host that can't do so, and
 * have ten minutes each.
 */
@Inherited
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.TYPE)
@RequiresKvm(
        value = {Capability.IRQCHIP, Capability.PIT2, Capability.IRQ_ROUTING},
        features = HostFeature.LONG_MODE_EXCEPTIONS)
@Timeout(600)
@interface RequiresLinuxGuest {}
