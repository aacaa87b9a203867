package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Capability;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.x86.CpuidEntry;
import io.github.jkvm.x86.DebugRegisters;
import io.github.jkvm.x86.FpuState;
import io.github.jkvm.x86.GuestDebug;
import io.github.jkvm.x86.LapicState;
import io.github.jkvm.x86.MpState;
import io.github.jkvm.x86.Msr;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.SpecialRegisters;
import io.github.jkvm.x86.SpecialRegisters2;
import io.github.jkvm.x86.Translation;
import io.github.jkvm.x86.VCpuEvents;
import io.github.jkvm.x86.X86VCpu;
import io.github.jkvm.x86.Xcr;
import io.github.jkvm.x86.XsaveState;
import java.util.List;
import java.util.function.Supplier;

/** The state of a vCPU as the API reads and sets it: one method for each part, done while nobody else uses the vCPU. */
abstract class RegisterAccess implements X86VCpu {
    private static final int VECTORS = 256;
    private static final int DEFAULT_TSC_KHZ = 1_000_000;

    private int tscKhz = DEFAULT_TSC_KHZ;

    /** The VM that it belongs to. */
    @Override
    public abstract ScriptedVm vm();

    abstract CpuState cpu();

    abstract Activity activity();

    abstract CpuState.Life life();

    /**
     * Does something with the state as it is after the last exit: finishes that exit first.
     *
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     */
    abstract <T> T withState(Supplier<T> action);

    private void change(Runnable action) {
        withState(() -> {
            action.run();
            return true;
        });
    }

    @Override
    public Registers registers() {
        return withState(cpu()::registers);
    }

    @Override
    public void setRegisters(Registers registers) {
        change(() -> cpu().setRegisters(registers));
    }

    @Override
    public SpecialRegisters specialRegisters() {
        return withState(cpu()::special);
    }

    @Override
    public void setSpecialRegisters(SpecialRegisters registers) {
        change(() -> cpu().setSpecial(registers));
    }

    @Override
    public SpecialRegisters2 specialRegisters2() {
        vm().require(Capability.SREGS2, "special registers with page directory pointers; use those without");
        return withState(cpu()::special2);
    }

    @Override
    public void setSpecialRegisters2(SpecialRegisters2 registers) {
        vm().require(Capability.SREGS2, "special registers with page directory pointers; use those without");
        change(() -> cpu().setSpecial2(registers));
    }

    @Override
    public FpuState fpu() {
        return withState(cpu()::fpu);
    }

    @Override
    public void setFpu(FpuState state) {
        change(() -> cpu().setFpu(state));
    }

    @Override
    public List<CpuidEntry> cpuid() {
        return withState(cpu()::cpuid);
    }

    @Override
    public void setCpuid(List<CpuidEntry> entries) {
        change(() -> cpu().setCpuid(entries, life()));
    }

    @Override
    public List<Msr> msrs(List<Integer> indices) {
        return withState(() -> cpu().msrs(indices));
    }

    @Override
    public void setMsrs(List<Msr> msrs) {
        change(() -> cpu().setMsrs(msrs));
    }

    @Override
    public LapicState lapic() {
        return withState(() -> {
            activity().requireLocalApic();
            return cpu().lapic();
        });
    }

    @Override
    public void setLapic(LapicState state) {
        change(() -> {
            activity().requireLocalApic();
            cpu().setLapic(state);
        });
    }

    @Override
    public XsaveState xsave() {
        return withState(cpu()::xsave);
    }

    @Override
    public void setXsave(XsaveState state) {
        change(() -> cpu().setXsave(state));
    }

    @Override
    public List<Xcr> xcrs() {
        return withState(cpu()::xcrs);
    }

    @Override
    public void setXcrs(List<Xcr> xcrs) {
        change(() -> cpu().setXcrs(xcrs));
    }

    @Override
    public DebugRegisters debugRegisters() {
        return withState(cpu()::debug);
    }

    @Override
    public void setDebugRegisters(DebugRegisters registers) {
        change(() -> cpu().setDebug(registers));
    }

    @Override
    public VCpuEvents events() {
        return withState(cpu()::events);
    }

    @Override
    public void setEvents(VCpuEvents events) {
        change(() -> cpu().setEvents(events));
    }

    @Override
    public MpState mpState() {
        return withState(activity()::state);
    }

    @Override
    public void setMpState(MpState state) {
        change(() -> activity().set(state));
    }

    @Override
    public int tscKhz() {
        return withState(() -> tscKhz);
    }

    @Override
    public void setTscKhz(int khz) {
        if (khz <= 0) {
            throw new IllegalArgumentException("frequency " + khz + " kHz must be above 0");
        }
        change(() -> tscKhz = khz);
    }

    @Override
    public void notifyPaused() {
        change(() -> {
            throw new HypervisorException(
                    this + ": the guest does not use the paravirtual clock, so there is nothing to tell it");
        });
    }

    @Override
    public Translation translate(long linearAddress) {
        return withState(() -> {
            if ((cpu().special().cr0() & SpecialRegisters.CR0_PG) != 0) {
                throw new HypervisorException(this + " can't translate 0x" + Long.toHexString(linearAddress)
                        + ": a scripted vCPU follows no page tables; leave paging off, or use a real hypervisor");
            }
            return new Translation(linearAddress, 1, 1, 0);
        });
    }

    @Override
    public void nmi() {
        change(() -> activity().post(new GuestInterrupt.NonMaskable()));
    }

    @Override
    public void smi() {
        throw new UnsupportedCapabilityException(
                Capability.X86_SMM, vm().hypervisor().description() + " has no system management mode");
    }

    @Override
    public void queueInterrupt(int vector) {
        if (vector < 0 || vector >= VECTORS) {
            throw new IllegalArgumentException("interrupt vector " + vector + " must be from 0 to " + (VECTORS - 1));
        }
        change(() -> {
            activity().requireNoIrqChip();
            activity().post(new GuestInterrupt.Vector(vector));
        });
    }

    @Override
    public void setGuestDebug(GuestDebug debug) {
        if (!debug.equals(GuestDebug.OFF)) {
            throw new UnsupportedCapabilityException(
                    Capability.GUEST_DEBUG,
                    vm().hypervisor().description() + " executes no code that could be stepped through");
        }
    }
}
