package io.github.jkvm.machine;

import io.github.jkvm.x86.CpuidEntry;
import java.util.ArrayList;
import java.util.List;

/**
 * Turns what a host's {@code cpuid} can answer into the answers for one vCPU of a machine: one package with a core for each vCPU, no
 * threads; the local APIC's id is the vCPU's number.
 *
 * <p>Leaves are described in the Intel SDM, volume 2, CPUID, and the AMD64 Architecture Programmer's Manual, volume 3, appendix E.
 */
final class CpuTopology {
    private static final int VENDOR = 0;
    private static final int FEATURES = 0x1;
    private static final int CACHES = 0x4;
    private static final int TOPOLOGY = 0xB;
    private static final int TOPOLOGY_V2 = 0x1F;
    private static final int EXTENDED_FEATURES = 0x8000_0001;
    private static final int SIZES = 0x8000_0008;
    private static final int AMD_CACHES = 0x8000_001D;
    private static final int AMD_TOPOLOGY = 0x8000_001E;

    /** "Auth" of AuthenticAMD and "Hygo" of HygonGenuine, in EBX. */
    private static final int AMD = 0x6874_7541;

    private static final int HYGON = 0x6F67_7948;

    private static final int ECX_TSC_DEADLINE = 1 << 24;
    private static final int ECX_HYPERVISOR = 1 << 31;
    private static final int EDX_SEVERAL_CORES = 1 << 28;
    private static final int EXTENDED_ECX_SEVERAL_CORES = 1 << 1;

    private static final int LEVEL_THREAD = 1;
    private static final int LEVEL_CORE = 2;
    private static final int SHARED_CACHE_LEVEL = 3;

    private final List<CpuidEntry> host;
    private final int cores;
    private final Timer timer;
    private final boolean amd;

    /** Whether the local APIC's timer has a deadline mode: it has if the hypervisor provides the local APIC. */
    enum Timer {
        TSC_DEADLINE,
        NONE
    }

    CpuTopology(List<CpuidEntry> host, int cores, Timer timer) {
        this.host = host;
        this.cores = cores;
        this.timer = timer;
        this.amd = host.stream()
                .anyMatch(entry -> entry.function() == VENDOR && (entry.ebx() == AMD || entry.ebx() == HYGON));
    }

    /** Returns the answers for one vCPU. */
    List<CpuidEntry> cpuidOf(int apicId) {
        List<CpuidEntry> entries = new ArrayList<>(host.size() + 3);
        boolean hasTopology = false;
        for (CpuidEntry entry : host) {
            switch (entry.function()) {
                case FEATURES -> entries.add(features(entry, apicId));
                case CACHES -> entries.add(caches(entry));
                case AMD_CACHES -> entries.add(amdCaches(entry));
                case TOPOLOGY -> hasTopology = true;
                // The second form is optional, and a guest that does not find it takes the first.
                case TOPOLOGY_V2 -> {}
                case EXTENDED_FEATURES, SIZES, AMD_TOPOLOGY -> entries.add(amd ? amdLeaf(entry, apicId) : entry);
                default -> entries.add(entry);
            }
        }
        if (hasTopology) {
            entries.add(topology(0, 0, 1, LEVEL_THREAD, apicId));
            entries.add(topology(1, coreBits(), cores, LEVEL_CORE, apicId));
            entries.add(topology(2, 0, 0, 0, apicId));
        }
        return entries;
    }

    private CpuidEntry features(CpuidEntry entry, int apicId) {
        // EBX: bits 16 to 23 ids in the package, bits 24 to 31 the initial APIC id.
        int ids = Math.min(1 << coreBits(), 0xFF);
        int ebx = (entry.ebx() & 0xFFFF) | (ids << 16) | (apicId << 24);
        int ecx = entry.ecx() | ECX_HYPERVISOR;
        ecx = timer == Timer.TSC_DEADLINE ? ecx | ECX_TSC_DEADLINE : ecx & ~ECX_TSC_DEADLINE;
        int edx = cores > 1 ? entry.edx() | EDX_SEVERAL_CORES : entry.edx() & ~EDX_SEVERAL_CORES;
        return entry.withAnswer(entry.eax(), ebx, ecx, edx);
    }

    private CpuidEntry amdLeaf(CpuidEntry entry, int apicId) {
        return switch (entry.function()) {
            case EXTENDED_FEATURES ->
                withEcx(
                        entry,
                        cores > 1
                                ? entry.ecx() | EXTENDED_ECX_SEVERAL_CORES
                                : entry.ecx() & ~EXTENDED_ECX_SEVERAL_CORES);
            // ECX: bits 0 to 7 cores less one, bits 12 to 15 how many bits of the APIC id tell the core.
            case SIZES -> withEcx(entry, (coreBits() << 12) | Math.min(cores - 1, 0xFF));
            // EAX the APIC id, EBX the core with its threads less one in bits 8 to 15, ECX one node.
            default -> entry.withAnswer(apicId, apicId & 0xFF, 0, 0);
        };
    }

    private CpuidEntry caches(CpuidEntry entry) {
        int level = (entry.eax() >>> 5) & 7;
        // EAX: bits 14 to 25 ids that share this cache less one, bits 26 to 31 core ids in the package less one.
        int sharing = level < SHARED_CACHE_LEVEL ? 0 : (1 << coreBits()) - 1;
        int coreIds = Math.min((1 << coreBits()) - 1, 0x3F);
        int eax = (entry.eax() & 0x3FFF) | (Math.min(sharing, 0xFFF) << 14) | (coreIds << 26);
        // A sub-leaf without a cache says so by a type of 0, and nothing else of it counts.
        return (entry.eax() & 0x1F) == 0 ? entry : entry.withAnswer(eax, entry.ebx(), entry.ecx(), entry.edx());
    }

    private CpuidEntry amdCaches(CpuidEntry entry) {
        int level = (entry.eax() >>> 5) & 7;
        int sharing = level < SHARED_CACHE_LEVEL ? 0 : Math.min(cores - 1, 0xFFF);
        int eax = (entry.eax() & 0x3FFF) | (sharing << 14);
        return (entry.eax() & 0x1F) == 0 ? entry : entry.withAnswer(eax, entry.ebx(), entry.ecx(), entry.edx());
    }

    private static CpuidEntry topology(int index, int shift, int count, int level, int apicId) {
        int ecx = (level << 8) | index;
        return new CpuidEntry(TOPOLOGY, index, CpuidEntry.FLAG_SIGNIFICANT_INDEX, shift, count, ecx, apicId);
    }

    private static CpuidEntry withEcx(CpuidEntry entry, int ecx) {
        return entry.withAnswer(entry.eax(), entry.ebx(), ecx, entry.edx());
    }

    /** How many bits of the APIC id tell the core. */
    private int coreBits() {
        return Integer.SIZE - Integer.numberOfLeadingZeros(cores - 1);
    }
}
