package io.github.jkvm.testkit.scripted;

import io.github.jkvm.ExitHandler;
import io.github.jkvm.VmExit;
import io.github.jkvm.x86.Registers;
import org.jspecify.annotations.Nullable;

/** A hypercall, or an access to a model-specific register that the host takes. */
final class AskStep extends AnsweredStep {
    private final ScriptedVCpu vcpu;
    private final VmExit exit;
    private long value;
    private boolean faulted;

    AskStep(ScriptedVCpu vcpu, VmExit exit) {
        this.vcpu = vcpu;
        this.exit = exit;
        this.value = ALL_ONES;
        // Without an answer an MSR access faults, and a hypercall returns all ones.
        this.faulted = isMsrAccess();
    }

    private boolean isMsrAccess() {
        return exit instanceof VmExit.ReadMsr || exit instanceof VmExit.WriteMsr;
    }

    @Override
    VmExit perform(@Nullable ExitHandler handler) {
        return exit;
    }

    @Override
    boolean give(long answer) {
        value = answer;
        faulted = false;
        return true;
    }

    @Override
    boolean giveFault() {
        return isMsrAccess();
    }

    /** A hypercall's result is in RAX; a register that was read is in EDX and EAX. */
    @Override
    void complete() {
        CpuState cpu = vcpu.cpu();
        switch (exit) {
            case VmExit.Hypercall ignored -> cpu.setRegisters(cpu.registers().with(Registers.Name.RAX, value));
            case VmExit.ReadMsr ignored when !faulted -> cpu.putEdxEax(value);
            default -> {}
        }
    }

    boolean faulted() {
        return faulted;
    }

    long value() {
        return value;
    }
}
