package io.github.jkvm.it.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.X86Hypervisor;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@RequiresKvm
class HostStateTest {
    /** In no processor's documentation. */
    private static final int UNKNOWN_MSR = 0x7FFF_1234;

    private final X86Hypervisor hypervisor = X86Hypervisor.of(Hypervisor.open());

    @AfterEach
    void close() {
        hypervisor.close();
    }

    @Test
    void tellsWhatCpuidCanAnswer() {
        List<CpuidEntry> supported = hypervisor.supportedCpuid();
        CpuidEntry first = supported.stream()
                .filter(entry -> entry.function() == 0)
                .findFirst()
                .orElseThrow();
        // Leaf 0: EAX is the highest leaf (SDM volume 2, CPUID).
        assertThat(first.eax()).isGreaterThanOrEqualTo(1);
        assertThat(supported).anyMatch(entry -> entry.function() == 1);
        assertThat(supported).anyMatch(entry -> entry.function() == 0x8000_0001);
    }

    @Test
    void tellsWhatItCanEmulate() {
        assertThat(hypervisor.emulatedCpuid()).doesNotContainNull();
    }

    @Test
    void tellsWhichMsrsBelongToAVCpu() {
        assertThat(hypervisor.msrIndices()).contains(Msr.TSC, Msr.STAR).doesNotHaveDuplicates();
    }

    @Test
    void readsTheMsrsThatTellWhatTheHostCanDo() {
        List<Integer> indices = hypervisor.featureMsrIndices();
        assumeFalse(indices.isEmpty(), "this host has no feature MSRs");
        assertThat(hypervisor.featureMsrs(indices)).extracting(Msr::index).isEqualTo(indices);
    }

    @Test
    void readsMoreFeatureMsrsThanOneCallTakes() {
        List<Integer> indices = hypervisor.featureMsrIndices();
        assumeFalse(indices.isEmpty(), "this host has no feature MSRs");
        List<Integer> many = Collections.nCopies(600, indices.getFirst());
        List<Msr> values = hypervisor.featureMsrs(many);
        assertThat(values).hasSize(600).containsOnly(values.getFirst());
    }

    @Test
    void namesTheFirstFeatureMsrThatIsRefused() {
        List<Integer> indices = hypervisor.featureMsrIndices();
        assumeFalse(indices.isEmpty(), "this host has no feature MSRs");
        assertThatExceptionOfType(HypervisorException.class)
                .isThrownBy(() -> hypervisor.featureMsrs(List.of(indices.getFirst(), UNKNOWN_MSR, indices.getFirst())))
                .withMessageContaining("KVM_GET_MSRS")
                .withMessageContaining("refused MSR 0x7fff1234, number 2 of 3; the 1 before it were read");
    }

    @Test
    void refusesUseAfterClose() {
        hypervisor.close();
        assertThatIllegalStateException().isThrownBy(hypervisor::supportedCpuid);
        assertThatIllegalStateException().isThrownBy(hypervisor::msrIndices);
    }
}
