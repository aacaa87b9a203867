package io.github.jkvm.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Availability;
import io.github.jkvm.Capability;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;

class RequiresKvmConditionTest {
    private static final HostProbe.Result EMULATING_HOST = new HostProbe.Result(
            Availability.yes("a hypervisor"),
            Set.of(Capability.IRQCHIP),
            4,
            Map.of(HostFeature.LONG_MODE_EXCEPTIONS, "int3 ended in Shutdown[]"));

    @RequiresKvm
    private static final class Anything {}

    @RequiresKvm(
            value = {Capability.IRQCHIP, Capability.DIRTY_RING},
            features = HostFeature.LONG_MODE_EXCEPTIONS,
            vcpus = 5)
    private static final class Much {}

    private static RequiresKvm of(Class<?> annotated) {
        return annotated.getAnnotation(RequiresKvm.class);
    }

    @Test
    void runsTheTestWhenTheHostHasAllThatIsAskedFor() {
        assertThat(RequiresKvmCondition.missing(of(Anything.class), EMULATING_HOST))
                .isEmpty();
    }

    @Test
    void saysEachThingThatIsMissing() {
        assertThat(RequiresKvmCondition.missing(of(Much.class), EMULATING_HOST))
                .containsExactly(
                        "the hypervisor lacks DIRTY_RING",
                        "the host lacks LONG_MODE_EXCEPTIONS: int3 ended in Shutdown[]",
                        "a VM can have 4 vCPUs, the test needs 5");
    }

    @Test
    void skipsWithASentenceOfAllThatIsMissing() {
        var decision = RequiresKvmCondition.decide(List.of("the hypervisor lacks DIRTY_RING", "no second thing"), null);
        assertThat(decision.isDisabled()).isTrue();
        assertThat(decision.getReason()).contains("the hypervisor lacks DIRTY_RING; no second thing");
        assertThat(RequiresKvmCondition.decide(List.of("something"), "yes").isDisabled())
                .isTrue();
    }

    @Test
    void failsInsteadOfSkippingWhereThatIsForbidden() {
        assertThatThrownBy(() -> RequiresKvmCondition.decide(List.of("no /dev/kvm"), "fail"))
                .isInstanceOf(ExtensionConfigurationException.class)
                .hasMessage(
                        "this host can't run the test, and -Djkvm.testkit.skips=fail forbids skipping: no /dev/kvm");
        assertThat(RequiresKvmCondition.decide(List.of(), "fail").isDisabled()).isFalse();
    }

    @Test
    void repeatsTheReasonOfAHostWithoutHypervisor() {
        var host = new HostProbe.Result(Availability.no("no /dev/kvm"), Set.of(), 0, Map.of());
        assertThat(RequiresKvmCondition.missing(of(Much.class), host)).containsExactly("no /dev/kvm");
    }
}
