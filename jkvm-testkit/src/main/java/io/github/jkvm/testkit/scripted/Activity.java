package io.github.jkvm.testkit.scripted;

import io.github.jkvm.HypervisorException;
import io.github.jkvm.x86.MpState;
import java.util.LinkedHashSet;
import org.jspecify.annotations.Nullable;

/** Whether a vCPU runs, waits to be started or is halted, and the interrupts that wait for it alone. Safe for use by many threads. */
final class Activity {
    private final ScriptedVm vm;
    private final RunGate gate;
    private final LinkedHashSet<GuestInterrupt> own = new LinkedHashSet<>();
    private MpState state;

    /**
     * Creates that of a vCPU which has not run. With local APICs in the hypervisor the boot processor starts the others; without, all run.
     */
    Activity(ScriptedVm vm, RunGate gate, CpuState.Role role) {
        this.vm = vm;
        this.gate = gate;
        this.state = role == CpuState.Role.SECONDARY && vm.hasLocalApics() ? MpState.UNINITIALIZED : MpState.RUNNABLE;
    }

    synchronized MpState state() {
        return state;
    }

    void set(MpState next) {
        if (next != MpState.RUNNABLE) {
            requireLocalApic();
        }
        become(next);
    }

    private void become(MpState next) {
        synchronized (this) {
            state = next;
        }
        gate.wake();
    }

    /** Starts a vCPU that waits for it, as INIT and start-up messages do. One that runs does not notice. */
    void start() {
        if (!isStarted()) {
            become(MpState.RUNNABLE);
        }
    }

    synchronized boolean isStarted() {
        return state == MpState.RUNNABLE || state == MpState.HALTED;
    }

    void halt() {
        become(MpState.HALTED);
    }

    /** Ends a halt when there is an interrupt, and tells whether it has ended: somebody may also have set the vCPU going. */
    synchronized boolean wakeUp() {
        if (state == MpState.HALTED && (!own.isEmpty() || vm.inbox().isPending())) {
            state = MpState.RUNNABLE;
        }
        return state == MpState.RUNNABLE;
    }

    /** Adds an interrupt for this vCPU alone. */
    void post(GuestInterrupt interrupt) {
        synchronized (this) {
            own.add(interrupt);
        }
        gate.wake();
    }

    /** Takes the interrupt that waits the longest, those for this vCPU alone first; null if there is none. */
    @Nullable
    GuestInterrupt take() {
        synchronized (this) {
            var first = own.iterator();
            if (first.hasNext()) {
                GuestInterrupt taken = first.next();
                first.remove();
                return taken;
            }
        }
        return vm.inbox().take();
    }

    void requireLocalApic() {
        if (!vm.hasLocalApics()) {
            throw new HypervisorException(
                    "the vCPU has no local APIC in the hypervisor and is always RUNNABLE; call createIrqChip or enableSplitIrqChip before"
                            + " createVCpu");
        }
    }

    void requireNoIrqChip() {
        if (vm.hasIoapic()) {
            throw new HypervisorException(
                    "queueInterrupt(): the VM has interrupt controllers in the hypervisor, which queue interrupts; use interruptLine() or"
                            + " interrupt()");
        }
    }
}
