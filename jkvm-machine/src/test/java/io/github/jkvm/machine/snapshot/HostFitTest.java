package io.github.jkvm.machine.snapshot;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.machine.Fakes;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.X86Hypervisor;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class HostFitTest {
    /** The saved machine's processors: a maker of the numbers 2, 4 and 3, and features 7 in ECX and 5 in EDX. */
    private static final long FEATURES = 5;

    private static final List<CpuidEntry> SAME =
            List.of(new CpuidEntry(0, 0, 0, 1, 2, 3, 4), new CpuidEntry(1, 0, 0, 5, 6, 7, (int) FEATURES));

    private static final List<Integer> MSRS = List.of(Msr.TSC, Msr.LSTAR);

    private static X86Hypervisor host(List<CpuidEntry> cpuid, List<Integer> msrs) {
        return Fakes.of(X86Hypervisor.class, Map.of("supportedCpuid", _ -> cpuid, "msrIndices", _ -> msrs));
    }

    private static List<String> missing(List<CpuidEntry> cpuid, List<Integer> msrs) {
        return HostFit.missing(host(cpuid, msrs), TestMachines.pc(FEATURES));
    }

    @Test
    void aHostLikeTheOneBeforeLacksNothing() {
        assertThat(missing(SAME, MSRS)).isEmpty();
    }

    @Test
    void aHostThatHasMoreLacksNothing() {
        assertThat(missing(
                        List.of(SAME.getFirst(), new CpuidEntry(1, 0, 0, 9, 9, -1, -1)),
                        List.of(Msr.TSC, Msr.LSTAR, 1)))
                .isEmpty();
    }

    @Test
    void eachFeatureThatIsMissingIsNamed() {
        assertThat(missing(List.of(SAME.getFirst(), new CpuidEntry(1, 0, 0, 5, 6, 3, 4)), MSRS))
                .containsExactly("CPUID 0x1.0 ECX bit 2", "CPUID 0x1.0 EDX bit 0");
        assertThat(missing(List.of(SAME.getFirst()), MSRS))
                .containsExactly(
                        "CPUID 0x1.0 ECX bit 0",
                        "CPUID 0x1.0 ECX bit 1",
                        "CPUID 0x1.0 ECX bit 2",
                        "CPUID 0x1.0 EDX bit 0",
                        "CPUID 0x1.0 EDX bit 2");
    }

    @Test
    void anotherMakerAndARegisterThatIsMissingAreNamed() {
        assertThat(missing(
                        List.of(new CpuidEntry(0, 0, 0, 1, 0x756E6547, 0x6C65746E, 0x49656E69), SAME.getLast()),
                        List.of(Msr.TSC)))
                .hasSize(2)
                .anySatisfy(
                        line -> assertThat(line).startsWith("processors of ").endsWith("(here are GenuineIntel)"))
                .contains("model-specific register 0xc0000082");
    }
}
