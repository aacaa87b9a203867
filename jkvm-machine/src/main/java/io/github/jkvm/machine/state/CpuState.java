package io.github.jkvm.machine.state;

import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.DebugRegisters;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.MpState;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.SpecialRegisters2;
import io.github.jkvm.x86.VCpuEvents;
import io.github.jkvm.x86.Xcr;
import io.github.jkvm.x86.XsaveState;
import java.util.List;

/**
 * All that a vCPU remembers.
 *
 * @param halted whether it has halted for good: nothing on its board wakes it
 * @param cpuid what {@code cpuid} answers
 * @param tscKhz frequency of its time stamp counter; 0 if the host does not say
 * @param mpState what it does as one of several
 * @param registers general-purpose registers
 * @param special segments and control registers; flags are 0 where the host does not keep page directory pointers
 * @param xsave floating-point and vector registers
 * @param xcrs extended control registers; none if the host has none
 * @param debug debug registers
 * @param lapic local APIC; none on a board without
 * @param msrs model-specific registers
 * @param events what is on its way into it
 */
public record CpuState(
        boolean halted,
        List<CpuidEntry> cpuid,
        int tscKhz,
        MpState mpState,
        Registers registers,
        SpecialRegisters2 special,
        XsaveState xsave,
        List<Xcr> xcrs,
        DebugRegisters debug,
        List<LapicState> lapic,
        List<Msr> msrs,
        VCpuEvents events) {}
