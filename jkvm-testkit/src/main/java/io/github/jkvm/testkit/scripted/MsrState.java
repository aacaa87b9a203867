package io.github.jkvm.testkit.scripted;

import io.github.jkvm.HypervisorException;
import io.github.jkvm.x86.Msr;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The model-specific registers of a vCPU: those that a guest's kernel and a board use, which hold what is put into them. */
final class MsrState {
    // SDM volume 4, table 2-2.
    private static final int SYSENTER_CS = 0x174;
    private static final int SYSENTER_ESP = 0x175;
    private static final int SYSENTER_EIP = 0x176;
    private static final int PAT = 0x277;
    private static final int CSTAR = 0xC000_0083;
    private static final int FMASK = 0xC000_0084;
    private static final int FS_BASE = 0xC000_0100;
    private static final int GS_BASE = 0xC000_0101;
    private static final int KERNEL_GS_BASE = 0xC000_0102;
    private static final int TSC_AUX = 0xC000_0103;
    // Linux, Documentation/virt/kvm/x86/msr.rst.
    private static final int KVM_WALL_CLOCK_NEW = 0x4B56_4D00;
    private static final int KVM_SYSTEM_TIME_NEW = 0x4B56_4D01;

    /** All there are. */
    static final List<Integer> INDICES = List.of(
            Msr.TSC,
            Msr.APIC_BASE,
            SYSENTER_CS,
            SYSENTER_ESP,
            SYSENTER_EIP,
            Msr.MISC_ENABLE,
            PAT,
            Msr.MTRR_DEF_TYPE,
            Msr.TSC_DEADLINE,
            KVM_WALL_CLOCK_NEW,
            KVM_SYSTEM_TIME_NEW,
            Msr.EFER,
            Msr.STAR,
            Msr.LSTAR,
            CSTAR,
            FMASK,
            FS_BASE,
            GS_BASE,
            KERNEL_GS_BASE,
            TSC_AUX);

    /** At power-on the eight entries are the four usual memory types twice (SDM volume 3, 13.12.4). */
    private static final long PAT_RESET = 0x0007_0406_0007_0406L;

    private final Map<Integer, Long> values = new TreeMap<>();

    MsrState() {
        INDICES.forEach(index -> values.put(index, 0L));
        values.put(PAT, PAT_RESET);
    }

    boolean has(int index) {
        return values.containsKey(index);
    }

    void put(int index, long value) {
        values.put(index, value);
    }

    /**
     * Reads one.
     *
     * @param position where in a list it is asked for, from 0
     * @param count length of the list
     * @throws HypervisorException if there is no such register
     */
    long require(int index, int position, int count) {
        Long value = values.get(index);
        if (value == null) {
            throw new HypervisorException(
                    "MSR 0x%x refused, number %d of %d: a scripted vCPU has those of X86Hypervisor.msrIndices() only"
                            .formatted(index, position + 1, count));
        }
        return value;
    }
}
