package io.github.jkvm.machine.state;

import io.github.jkvm.Capability;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.MpState;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.SpecialRegisters2;
import io.github.jkvm.x86.X86Hypervisor;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.Xcr;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;

/** Reads and sets the states of the vCPUs of one host, in the order that KVM needs (Documentation/virt/kvm/api.rst). */
public final class CpuStates {
    /**
     * Registers that belong to a processor's state and that {@code KVM_GET_MSR_INDEX_LIST} of some kernels leaves out: memory type ranges (Intel SDM
     * volume 4, table 2-2; Linux, arch/x86/kvm/mtrr.c).
     */
    public static final List<Integer> MEMORY_TYPES = List.of(
            0x200,
            0x201,
            0x202,
            0x203,
            0x204,
            0x205,
            0x206,
            0x207,
            0x208,
            0x209,
            0x20A,
            0x20B,
            0x20C,
            0x20D,
            0x20E,
            0x20F,
            0x250,
            0x258,
            0x259,
            0x268,
            0x269,
            0x26A,
            0x26B,
            0x26C,
            0x26D,
            0x26E,
            0x26F,
            Msr.MTRR_DEF_TYPE);

    private static final int PDPTRS = 4;

    private final X86Hypervisor hypervisor;
    private final boolean apics;

    /** Registers that a vCPU lets us read; found out with the first vCPU. */
    private List<Integer> readable = List.of();

    /**
     * Creates it.
     *
     * @param hypervisor the host
     * @param apics whether the vCPUs have local APICs in the hypervisor
     */
    public CpuStates(X86Hypervisor hypervisor, boolean apics) {
        this.hypervisor = hypervisor;
        this.apics = apics;
    }

    /**
     * Reads all of a vCPU.
     *
     * @param vcpu a vCPU that no thread runs
     * @param cpuid what it was told to answer to {@code cpuid}; what it says that it answers may be more than the host lets be set
     * @param halted whether it has halted for good
     * @return the state
     * @throws IllegalStateException if it is in a state that can't be read
     */
    public CpuState capture(X86VCpu vcpu, List<CpuidEntry> cpuid, boolean halted) {
        // First, as it makes KVM take note of start-up messages, which changes what follows.
        MpState mpState = apics ? vcpu.mpState() : MpState.RUNNABLE;
        SpecialRegisters2 special = hypervisor.supports(Capability.SREGS2)
                ? vcpu.specialRegisters2()
                : new SpecialRegisters2(vcpu.specialRegisters(), 0, Collections.nCopies(PDPTRS, 0L));
        checkNotNesting(vcpu, special.registers());
        return new CpuState(
                halted,
                cpuid,
                tscKhz(vcpu),
                mpState,
                vcpu.registers(),
                special,
                vcpu.xsave(),
                vcpu.xcrs(),
                vcpu.debugRegisters(),
                apics ? List.of(vcpu.lapic()) : List.of(),
                vcpu.msrs(readable(vcpu)),
                vcpu.events());
    }

    private static void checkNotNesting(X86VCpu vcpu, SpecialRegisters special) {
        if ((special.efer() & SpecialRegisters.EFER_SVME) != 0 || (special.cr4() & SpecialRegisters.CR4_VMXE) != 0) {
            throw new IllegalStateException("vCPU " + vcpu.id()
                    + " has switched virtualization on to run guests of its own, whose state is not part of a snapshot; end them and unload the"
                    + " guest's hypervisor (modprobe -r kvm_amd kvm_intel)");
        }
    }

    private static int tscKhz(X86VCpu vcpu) {
        try {
            return vcpu.tscKhz();
        } catch (HypervisorException noOneFrequency) {
            return 0;
        }
    }

    private List<Integer> readable(X86VCpu vcpu) {
        if (readable.isEmpty()) {
            Set<Integer> all = new LinkedHashSet<>(hypervisor.msrIndices());
            all.addAll(MEMORY_TYPES);
            readable = readable(vcpu, List.copyOf(all));
        }
        return readable;
    }

    /** Those of the registers that can be read: the host has some that a vCPU with the guest's CPUID has not. */
    private static List<Integer> readable(X86VCpu vcpu, List<Integer> indices) {
        try {
            vcpu.msrs(indices);
            return indices;
        } catch (HypervisorException refused) {
            if (indices.size() == 1) {
                return List.of();
            }
            int half = indices.size() / 2;
            return Stream.concat(
                            readable(vcpu, indices.subList(0, half)).stream(),
                            readable(vcpu, indices.subList(half, indices.size())).stream())
                    .toList();
        }
    }

    /**
     * Sets all of a vCPU.
     *
     * @param vcpu a vCPU that has not run
     * @param state the state
     * @throws HypervisorException if the host does not take something of it
     */
    public void apply(X86VCpu vcpu, CpuState state) {
        // It decides which registers there are.
        vcpu.setCpuid(state.cpuid());
        if (state.tscKhz() != 0 && state.tscKhz() != tscKhz(vcpu)) {
            vcpu.setTscKhz(state.tscKhz());
        }
        reset(vcpu, state);
    }

    /**
     * Sets all that a vCPU which has run can have changed. What it answers to {@code cpuid}, and how fast its time stamp counter is, are what they were.
     *
     * @param vcpu a vCPU that no thread runs
     * @param state an earlier state of it
     * @throws HypervisorException if the host does not take something of it
     */
    public void reset(X86VCpu vcpu, CpuState state) {
        // The base of the local APIC, and with it its mode, are among these: before the local APIC.
        if (hypervisor.supports(Capability.SREGS2)) {
            vcpu.setSpecialRegisters2(state.special());
        } else {
            vcpu.setSpecialRegisters(state.special().registers());
        }
        vcpu.setRegisters(state.registers());
        // They say what may be in the extended state.
        List<Xcr> xcrs = state.xcrs();
        if (!xcrs.isEmpty()) {
            vcpu.setXcrs(xcrs);
        }
        vcpu.setXsave(state.xsave());
        vcpu.setDebugRegisters(state.debug());
        for (LapicState lapic : state.lapic()) {
            vcpu.setLapic(lapic);
        }
        vcpu.setMsrs(changed(vcpu, state.msrs()));
        if (apics) {
            vcpu.setMpState(state.mpState());
        }
        // Last: others make a vCPU forget what is on its way.
        vcpu.setEvents(state.events());
    }

    /**
     * The registers whose value is another one now, since some can be read and not written: the time stamp counter first and the deadline of its timer last,
     * as a deadline that is past by a wrong counter would fire.
     */
    private static List<Msr> changed(X86VCpu vcpu, List<Msr> saved) {
        Map<Integer, Long> now = new HashMap<>();
        for (Msr msr : vcpu.msrs(saved.stream().map(Msr::index).toList())) {
            now.put(msr.index(), msr.value());
        }
        List<Msr> first = new ArrayList<>();
        List<Msr> middle = new ArrayList<>();
        List<Msr> last = new ArrayList<>();
        for (Msr msr : saved) {
            if (Objects.equals(now.get(msr.index()), msr.value())) {
                continue;
            }
            List<Msr> turn = switch (msr.index()) {
                case Msr.TSC -> first;
                case Msr.TSC_DEADLINE -> last;
                default -> middle;
            };
            turn.add(msr);
        }
        first.addAll(middle);
        first.addAll(last);
        return first;
    }
}
