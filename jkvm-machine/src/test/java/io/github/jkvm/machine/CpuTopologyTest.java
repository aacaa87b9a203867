package io.github.jkvm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.x86.CpuidEntry;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Fields are those of the Intel SDM, volume 2, CPUID, and the AMD64 manual, volume 3, appendix E. */
class CpuTopologyTest {
    private static final int SIGNIFICANT = CpuidEntry.FLAG_SIGNIFICANT_INDEX;

    /** The leaves that matter, as an Intel host with two threads a core could give them. */
    private static final List<CpuidEntry> INTEL = List.of(
            new CpuidEntry(0, 0, 0, 0x1F, 0x756E_6547, 0x6C65_746E, 0x4965_6E69),
            new CpuidEntry(1, 0, 0, 0x806F8, 0x0310_0800, 1 << 21, 1 << 28 | 0x78BF_BFF),
            new CpuidEntry(4, 0, SIGNIFICANT, 0xFC00_4121, 0x02C0_003F, 0x3F, 0),
            new CpuidEntry(4, 3, SIGNIFICANT, 0xFC1F_C163, 0x0280_003F, 0xBFFF, 4),
            new CpuidEntry(4, 4, SIGNIFICANT, 0, 0, 0, 0),
            new CpuidEntry(0xB, 0, SIGNIFICANT, 1, 2, 0x100, 5),
            new CpuidEntry(0xB, 1, SIGNIFICANT, 7, 128, 0x201, 5),
            new CpuidEntry(0x1F, 0, SIGNIFICANT, 1, 2, 0x100, 5),
            new CpuidEntry(0x4000_0000, 0, 0, 0x4000_0001, 0x4B4D_564B, 0x564B_4D56, 0x4D),
            new CpuidEntry(0x8000_0008, 0, 0, 0x3039, 0, 0, 0));

    private static final List<CpuidEntry> AMD = List.of(
            new CpuidEntry(0, 0, 0, 0x10, 0x6874_7541, 0x444D_4163, 0x6974_6E65),
            new CpuidEntry(1, 0, 0, 0x800F12, 0x0310_0800, 1 << 21, 0x78BF_BFF),
            new CpuidEntry(0x8000_0001, 0, 0, 0x800F12, 0, 0x0040_03F3, 0),
            new CpuidEntry(0x8000_0008, 0, 0, 0x3030, 0x1000, 0x700F, 0),
            new CpuidEntry(0x8000_001D, 3, SIGNIFICANT, 0x0001_C163, 0, 0, 0),
            new CpuidEntry(0x8000_001E, 0, 0, 5, 0x102, 0x100, 0));

    private static List<CpuidEntry> cpuid(List<CpuidEntry> host, int cores, int apicId) {
        return new CpuTopology(host, cores, CpuTopology.Timer.TSC_DEADLINE).cpuidOf(apicId);
    }

    private static CpuidEntry leaf(List<CpuidEntry> entries, int function, int index) {
        return entries.stream()
                .filter(entry -> entry.function() == function && entry.index() == index)
                .findFirst()
                .orElseThrow();
    }

    @Test
    void featuresTellApicIdAndCount() {
        CpuidEntry features = leaf(cpuid(INTEL, 3, 2), 1, 0);
        assertThat(features.ebx()).as("id 2, 4 ids, the rest kept").isEqualTo(0x0204_0800);
        assertThat(features.ecx()).as("hypervisor, TSC deadline, x2APIC").isEqualTo(1 << 31 | 1 << 24 | 1 << 21);
        assertThat(features.edx() & 1 << 28).isNotZero();
        assertThat(leaf(cpuid(INTEL, 1, 0), 1, 0).edx() & 1 << 28)
                .as("one core: no HTT")
                .isZero();
    }

    @Test
    void timerDeadlineNeedsALocalApic() {
        var topology = new CpuTopology(INTEL, 1, CpuTopology.Timer.NONE);
        assertThat(leaf(topology.cpuidOf(0), 1, 0).ecx() & 1 << 24).isZero();
    }

    @Test
    void extendedTopologyIsOnePackageOfCores() {
        List<CpuidEntry> entries = cpuid(INTEL, 6, 5);
        assertThat(leaf(entries, 0xB, 0)).isEqualTo(new CpuidEntry(0xB, 0, SIGNIFICANT, 0, 1, 0x100, 5));
        assertThat(leaf(entries, 0xB, 1)).isEqualTo(new CpuidEntry(0xB, 1, SIGNIFICANT, 3, 6, 0x201, 5));
        assertThat(leaf(entries, 0xB, 2)).isEqualTo(new CpuidEntry(0xB, 2, SIGNIFICANT, 0, 0, 2, 5));
        assertThat(entries).noneMatch(entry -> entry.function() == 0x1F);
        assertThat(cpuid(AMD, 6, 5)).as("a host without the leaf").noneMatch(entry -> entry.function() == 0xB);
    }

    @Test
    void firstLevelCachesAreACoresOwnAndTheThirdIsShared() {
        List<CpuidEntry> entries = cpuid(INTEL, 4, 1);
        assertThat(leaf(entries, 4, 0).eax() >>> 14 & 0xFFF).isZero();
        assertThat(leaf(entries, 4, 0).eax() >>> 26).as("core ids less one").isEqualTo(3);
        assertThat(leaf(entries, 4, 3).eax() >>> 14 & 0xFFF).isEqualTo(3);
        assertThat(leaf(entries, 4, 4).eax()).as("no more caches").isZero();
        assertThat(leaf(cpuid(AMD, 4, 1), 0x8000_001D, 3).eax() >>> 14 & 0xFFF).isEqualTo(3);
    }

    @Test
    void amdLeavesCountCores() {
        List<CpuidEntry> entries = cpuid(AMD, 4, 3);
        assertThat(leaf(entries, 0x8000_0008, 0).ecx()).isEqualTo(0x2003);
        assertThat(leaf(entries, 0x8000_001E, 0).eax()).isEqualTo(3);
        assertThat(leaf(entries, 0x8000_001E, 0).ebx()).as("core 3, one thread").isEqualTo(3);
        assertThat(leaf(entries, 0x8000_0001, 0).ecx() & 2).isEqualTo(2);
        assertThat(leaf(cpuid(AMD, 1, 0), 0x8000_0001, 0).ecx() & 2).isZero();
    }

    @Test
    void otherLeavesStayAsTheHostGivesThem() {
        List<CpuidEntry> entries = cpuid(INTEL, 2, 0);
        assertThat(entries).contains(INTEL.get(0), INTEL.get(8), INTEL.get(9));
    }
}
