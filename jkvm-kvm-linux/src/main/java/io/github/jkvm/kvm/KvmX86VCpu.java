package io.github.jkvm.kvm;

import io.github.jkvm.Bytes;
import io.github.jkvm.VCpu;
import io.github.jkvm.kvm.ffi.OwnedFd;
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

/** A vCPU of KVM on an x86 host, with what only KVM has. */
public final class KvmX86VCpu extends KvmVCpu implements X86VCpu {
    private final X86VCpuState state;
    private final ExtendedState extended;
    private final NestedState nested;

    KvmX86VCpu(KvmX86Vm vm, int id, OwnedFd fd, RunPage page, DeadlineTimer timer) {
        super(vm, id, fd, page, timer);
        this.state = new X86VCpuState(vm.fd(), fd);
        this.extended = new ExtendedState(vm.fd(), fd);
        this.nested = new NestedState(vm.fd(), fd);
    }

    /**
     * Returns KVM's view of an x86 vCPU.
     *
     * @param vcpu the vCPU
     * @return the same object
     * @throws UnsupportedOperationException if it is of another hypervisor or architecture
     */
    public static KvmX86VCpu of(VCpu vcpu) {
        if (vcpu instanceof KvmX86VCpu x86) {
            return x86;
        }
        throw new UnsupportedOperationException(vcpu.vm().hypervisor().description() + " is not KVM on an x86 host");
    }

    private void change(Runnable action) {
        withState(() -> {
            action.run();
            return true;
        });
    }

    @Override
    public Registers registers() {
        return withState(state::registers);
    }

    @Override
    public void setRegisters(Registers registers) {
        change(() -> state.setRegisters(registers));
    }

    @Override
    public SpecialRegisters specialRegisters() {
        return withState(state::specialRegisters);
    }

    @Override
    public void setSpecialRegisters(SpecialRegisters registers) {
        change(() -> {
            state.setSpecialRegisters(registers);
            page().setCr8(registers.cr8());
        });
    }

    @Override
    public SpecialRegisters2 specialRegisters2() {
        return withState(state::specialRegisters2);
    }

    @Override
    public void setSpecialRegisters2(SpecialRegisters2 registers) {
        change(() -> {
            state.setSpecialRegisters2(registers);
            page().setCr8(registers.registers().cr8());
        });
    }

    @Override
    public FpuState fpu() {
        return withState(extended::fpu);
    }

    @Override
    public void setFpu(FpuState fpu) {
        change(() -> extended.setFpu(fpu));
    }

    @Override
    public List<CpuidEntry> cpuid() {
        return withState(state::cpuid);
    }

    @Override
    public void setCpuid(List<CpuidEntry> entries) {
        change(() -> state.setCpuid(entries));
    }

    @Override
    public List<Msr> msrs(List<Integer> indices) {
        return withState(() -> state.msrs(indices));
    }

    @Override
    public void setMsrs(List<Msr> msrs) {
        change(() -> state.setMsrs(msrs));
    }

    @Override
    public LapicState lapic() {
        return withState(state::lapic);
    }

    @Override
    public void setLapic(LapicState lapic) {
        change(() -> state.setLapic(lapic));
    }

    @Override
    public XsaveState xsave() {
        return withState(extended::xsave);
    }

    @Override
    public void setXsave(XsaveState xsave) {
        change(() -> extended.setXsave(xsave));
    }

    @Override
    public List<Xcr> xcrs() {
        return withState(extended::xcrs);
    }

    @Override
    public void setXcrs(List<Xcr> xcrs) {
        change(() -> extended.setXcrs(xcrs));
    }

    @Override
    public DebugRegisters debugRegisters() {
        return withState(state::debugRegisters);
    }

    @Override
    public void setDebugRegisters(DebugRegisters registers) {
        change(() -> state.setDebugRegisters(registers));
    }

    @Override
    public VCpuEvents events() {
        return withState(state::events);
    }

    @Override
    public void setEvents(VCpuEvents events) {
        change(() -> state.setEvents(events));
    }

    @Override
    public MpState mpState() {
        return withState(state::mpState);
    }

    @Override
    public void setMpState(MpState mpState) {
        change(() -> state.setMpState(mpState));
    }

    @Override
    public int tscKhz() {
        return withState(state::tscKhz);
    }

    @Override
    public void setTscKhz(int khz) {
        change(() -> state.setTscKhz(khz));
    }

    @Override
    public void notifyPaused() {
        change(state::notifyPaused);
    }

    @Override
    public Translation translate(long linearAddress) {
        return withState(() -> state.translate(linearAddress));
    }

    @Override
    public void nmi() {
        change(state::nmi);
    }

    @Override
    public void smi() {
        change(state::smi);
    }

    @Override
    public void queueInterrupt(int vector) {
        change(() -> state.queueInterrupt(vector));
    }

    @Override
    public void setGuestDebug(GuestDebug debug) {
        change(() -> state.setGuestDebug(debug));
    }

    /**
     * Reads floating-point and SSE registers as {@code KVM_GET_FPU} gives them: without MXCSR, which is 0, and stale where the processor has noted
     * that they are in their initial state. {@link #fpu()} has neither fault.
     *
     * @return the state
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     * @throws KvmException if the host refuses
     */
    public FpuState legacyFpu() {
        return withState(extended::legacyFpu);
    }

    /**
     * Sets floating-point and SSE registers as {@code KVM_SET_FPU} does: but for MXCSR, and without effect where the processor has noted that they
     * are in their initial state. {@link #setFpu} has neither fault.
     *
     * @param fpu the state
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     * @throws KvmException if the host refuses
     */
    public void setLegacyFpu(FpuState fpu) {
        change(() -> extended.setLegacyFpu(fpu));
    }

    /**
     * Reads the state that a guest which runs guests of its own has beside the registers ({@code KVM_GET_NESTED_STATE}).
     *
     * @return a {@code struct kvm_nested_state} with its data, in the host processor's own format
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host has none
     * @throws KvmException if the host refuses
     */
    public Bytes nestedState() {
        return withState(nested::get);
    }

    /**
     * Sets what {@link #nestedState()} gave on a host with a processor of the same maker.
     *
     * @param state the state
     * @throws IllegalArgumentException if it is shorter than its header says
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host has none
     * @throws KvmException if the host refuses
     */
    public void setNestedState(Bytes state) {
        change(() -> nested.set(state));
    }

    /**
     * Lets the guest's accesses to its local APIC's task priority register leave the guest as {@link io.github.jkvm.VmExit.TprAccess}
     * ({@code KVM_TPR_ACCESS_REPORTING}).
     *
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     * @throws KvmException if the host refuses
     */
    public void startTprReports() {
        change(() -> state.setTprReports(1));
    }

    /**
     * Ends what {@link #startTprReports()} began.
     *
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     * @throws KvmException if the host refuses
     */
    public void stopTprReports() {
        change(() -> state.setTprReports(0));
    }

    /**
     * Returns the registers that can be shared through the run page.
     *
     * @return the registers, of which none is shared at first
     */
    public SyncedRegisters syncedRegisters() {
        return new SyncedRegisters(vm().fd(), this);
    }
}
