package io.github.jkvm.testkit.linux;

import java.util.List;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;
import org.opentest4j.TestAbortedException;

/** Decides on {@link RequiresLinuxGuest}, as far as {@link io.github.jkvm.testkit.RequiresKvm} does not; JUnit makes it. */
public final class RequiresLinuxGuestCondition implements ExecutionCondition {

    /** Creates the condition. */
    public RequiresLinuxGuestCondition() {}

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        if (!AnnotationSupport.isAnnotated(context.getElement(), RequiresLinuxGuest.class)) {
            return ConditionEvaluationResult.enabled("needs no Linux guest");
        }
        return decide(List.of());
    }

    /**
     * Decides for guests.
     *
     * @param programs of the host that they have
     */
    static ConditionEvaluationResult decide(List<String> programs) {
        try {
            HostLack.requireHypervisor();
            GuestKernel.installed();
            HostPrograms.busybox();
            programs.forEach(HostPrograms::find);
            return ConditionEvaluationResult.enabled("the host has what the guest needs");
        } catch (TestAbortedException lack) {
            return ConditionEvaluationResult.disabled(lack.getMessage());
        } catch (AssertionError lack) {
            throw new ExtensionConfigurationException(lack.getMessage(), lack);
        }
    }
}
