package io.github.jkvm.machine.snapshot;

import io.github.jkvm.machine.state.CpuState;
import io.github.jkvm.machine.state.CpuStates;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.X86Hypervisor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Compares what a guest has seen of its processors with what a host has. */
public final class HostFit {
    private static final String[] REGISTERS = {"EAX", "EBX", "ECX", "EDX"};

    /**
     * A leaf of CPUID whose bits are features (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E).
     *
     * @param function the leaf
     * @param index the subleaf
     * @param masks bits of EAX, EBX, ECX and EDX that say what a processor can do, and that the hypervisor does not make up itself
     */
    private record FeatureLeaf(int function, int index, List<Integer> masks) {
        FeatureLeaf(int function, int index, int eax, int ebx, int ecx, int edx) {
            this(function, index, List.of(eax, ebx, ecx, edx));
        }
    }

    private static final List<FeatureLeaf> FEATURES = List.of(
            // Not MONITOR, x2APIC, TSC deadline, OSXSAVE, hypervisor; not "several cores".
            new FeatureLeaf(1, 0, 0, 0, ~(1 << 3 | 1 << 21 | 1 << 24 | 1 << 27 | 1 << 31), ~(1 << 28)),
            // Not OSPKE.
            new FeatureLeaf(7, 0, 0, -1, ~(1 << 4), -1),
            new FeatureLeaf(7, 1, -1, -1, -1, -1),
            new FeatureLeaf(7, 2, 0, 0, 0, -1),
            // What XCR0 can hold.
            new FeatureLeaf(0xD, 0, -1, 0, 0, -1),
            new FeatureLeaf(0xD, 1, -1, 0, 0, 0),
            // Not "several cores".
            new FeatureLeaf(0x8000_0001, 0, 0, 0, ~(1 << 1), -1),
            new FeatureLeaf(0x8000_0008, 0, 0, -1, 0, 0),
            new FeatureLeaf(0x8000_0021, 0, -1, 0, 0, 0),
            // KVM's own (Documentation/virt/kvm/x86/cpuid.rst).
            new FeatureLeaf(0x4000_0001, 0, -1, 0, 0, 0));

    private HostFit() {}

    /**
     * Finds what a host lacks.
     *
     * @param hypervisor the host
     * @param machine a machine that ran on some host
     * @return a line for each thing; empty if the machine can go on there
     */
    public static List<String> missing(X86Hypervisor hypervisor, SavedMachine machine) {
        List<CpuidEntry> host = hypervisor.supportedCpuid();
        // All vCPUs of a machine have the same features.
        CpuState cpu = machine.cpus().getFirst();
        List<String> missing = new ArrayList<>();
        String theirs = maker(cpu.cpuid());
        String ours = maker(host);
        if (!theirs.equals(ours)) {
            missing.add("processors of " + theirs + " (here are " + ours + ")");
        }
        for (FeatureLeaf leaf : FEATURES) {
            entry(cpu.cpuid(), leaf.function, leaf.index)
                    .ifPresent(had -> addMissing(missing, leaf, had, entry(host, leaf.function, leaf.index)));
        }
        Set<Integer> registers = new HashSet<>(hypervisor.msrIndices());
        registers.addAll(CpuStates.MEMORY_TYPES);
        for (Msr msr : cpu.msrs()) {
            if (msr.value() != 0 && !registers.contains(msr.index())) {
                missing.add(String.format("model-specific register 0x%x", msr.index()));
            }
        }
        return missing;
    }

    private static void addMissing(List<String> missing, FeatureLeaf leaf, CpuidEntry had, Optional<CpuidEntry> has) {
        int[] before = parts(had);
        int[] now = has.map(HostFit::parts).orElse(new int[REGISTERS.length]);
        for (int i = 0; i < REGISTERS.length; i++) {
            int lost = before[i] & ~now[i] & leaf.masks.get(i);
            for (int bits = lost; bits != 0; bits &= bits - 1) {
                missing.add(String.format(
                        "CPUID 0x%x.%d %s bit %d",
                        leaf.function, leaf.index, REGISTERS[i], Integer.numberOfTrailingZeros(bits)));
            }
        }
    }

    private static int[] parts(CpuidEntry entry) {
        return new int[] {entry.eax(), entry.ebx(), entry.ecx(), entry.edx()};
    }

    private static Optional<CpuidEntry> entry(List<CpuidEntry> entries, int function, int index) {
        return entries.stream()
                .filter(entry -> entry.function() == function && entry.index() == index)
                .findFirst();
    }

    /** The maker's name, as leaf 0 gives it. */
    private static String maker(List<CpuidEntry> entries) {
        return entry(entries, 0, 0)
                .map(leaf -> new String(
                        ByteBuffer.allocate(3 * Integer.BYTES)
                                .order(ByteOrder.LITTLE_ENDIAN)
                                .putInt(leaf.ebx())
                                .putInt(leaf.edx())
                                .putInt(leaf.ecx())
                                .array(),
                        StandardCharsets.ISO_8859_1))
                .orElse("no name");
    }
}
