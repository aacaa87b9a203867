package io.github.jkvm.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.Availability;
import io.github.jkvm.Capability;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

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
    void repeatsTheReasonOfAHostWithoutHypervisor() {
        var host = new HostProbe.Result(Availability.no("no /dev/kvm"), Set.of(), 0, Map.of());
        assertThat(RequiresKvmCondition.missing(of(Much.class), host)).containsExactly("no /dev/kvm");
    }
}
