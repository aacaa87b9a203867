package io.github.jkvm.testkit;

import io.github.jkvm.Capability;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;

/** Decides on {@link RequiresKvm}; JUnit makes it. */
public final class RequiresKvmCondition implements ExecutionCondition {

    /** Creates the condition. */
    public RequiresKvmCondition() {}

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        return AnnotationSupport.findAnnotation(context.getElement(), RequiresKvm.class)
                .map(required -> decide(missing(required, HostProbe.result()), skips()))
                .orElse(ConditionEvaluationResult.enabled("needs no hypervisor"));
    }

    /** Decides for tests with a guest of {@link MicroVm}. On a field or parameter, that is no annotation of the class or method that JUnit asks about. */
    static ConditionEvaluationResult decideForMicroVm() {
        RequiresKvm required = Objects.requireNonNull(MicroVm.class.getAnnotation(RequiresKvm.class));
        return decide(missing(required, HostProbe.result()), skips());
    }

    private static @Nullable String skips() {
        return System.getProperty(RequiresKvm.SKIPS_PROPERTY);
    }

    /**
     * Returns what this host lacks, for extensions that bring guests of their own.
     *
     * @param required what is asked for
     * @return a sentence for each thing that is missing; empty if the host has all
     */
    public static List<String> missing(RequiresKvm required) {
        return missing(required, HostProbe.result());
    }

    static List<String> missing(RequiresKvm required, HostProbe.Result host) {
        if (!host.availability().available()) {
            return List.of(host.availability().reason());
        }
        List<String> missing = new ArrayList<>();
        for (Capability capability : required.value()) {
            if (!host.capabilities().contains(capability)) {
                missing.add("the hypervisor lacks " + capability);
            }
        }
        for (HostFeature feature : required.features()) {
            String whyNot = host.missingFeatures().get(feature);
            if (whyNot != null) {
                missing.add("the host lacks " + feature + ": " + whyNot);
            }
        }
        if (host.maxVCpus() < required.vcpus()) {
            missing.add("a VM can have " + host.maxVCpus() + " vCPUs, the test needs " + required.vcpus());
        }
        return missing;
    }

    /**
     * Decides what becomes of a test.
     *
     * @param missing what the host lacks
     * @param skips the value of the property that forbids skipping; null if it is not set
     */
    static ConditionEvaluationResult decide(List<String> missing, @Nullable String skips) {
        if (missing.isEmpty()) {
            return ConditionEvaluationResult.enabled("the host has what the test needs");
        }
        String reason = String.join("; ", missing);
        if ("fail".equals(skips)) {
            throw new ExtensionConfigurationException("this host can't run the test, and -D"
                    + RequiresKvm.SKIPS_PROPERTY + "=fail forbids skipping: " + reason);
        }
        return ConditionEvaluationResult.disabled(reason);
    }
}
