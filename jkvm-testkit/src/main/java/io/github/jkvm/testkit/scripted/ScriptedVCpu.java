package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Bytes;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.VmExit;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A vCPU whose instructions are the steps of a {@link GuestProgram}. Thread rules and lifetime are those of {@link RunGate}. */
final class ScriptedVCpu extends RegisterAccess {
    private final ScriptedVm vm;
    private final int id;
    private final RunGate gate;
    private final GuestThread guest;
    private final CpuState cpu;
    private final LastExit lastExit;
    private final Activity activity;
    private volatile CpuState.Life life = CpuState.Life.NEW;

    ScriptedVCpu(ScriptedVm vm, int id, GuestProgram program) {
        this.vm = vm;
        this.id = id;
        this.gate = new RunGate(toString());
        this.cpu = new CpuState(id, vm.roleOf(id));
        this.lastExit = new LastExit(toString());
        this.activity = new Activity(vm, gate, vm.roleOf(id));
        var processor = new ScriptedGuest(this);
        this.guest = new GuestThread(gate, program, processor, vm + " " + this);
    }

    @Override
    public int id() {
        return id;
    }

    @Override
    public ScriptedVm vm() {
        return vm;
    }

    @Override
    public VmExit run() {
        return run(null, RunGate.NO_LIMIT);
    }

    @Override
    public VmExit run(Duration limit) {
        return run(null, nanos(limit));
    }

    @Override
    public VmExit run(ExitHandler handler) {
        return run(Objects.requireNonNull(handler, "handler"), RunGate.NO_LIMIT);
    }

    @Override
    public VmExit run(ExitHandler handler, Duration limit) {
        return run(Objects.requireNonNull(handler, "handler"), nanos(limit));
    }

    private VmExit run(@Nullable ExitHandler handler, long limitNanos) {
        VmExit exit = gate.begin(limitNanos);
        boolean closing = false;
        try {
            lastExit.finish();
            if (exit == null) {
                exit = runGuest(handler);
            }
        } finally {
            closing = gate.end();
            if (closing) {
                release();
            }
        }
        if (closing) {
            throw gate.closedWhileRunning();
        }
        return exit;
    }

    private VmExit runGuest(@Nullable ExitHandler handler) {
        while (true) {
            VmExit requested = gate.takeRequest();
            if (requested != null) {
                return requested;
            }
            if (!activity.isStarted()) {
                gate.await(activity::isStarted);
                continue;
            }
            life = CpuState.Life.HAS_RUN;
            Step step = guest.next();
            if (step == null) {
                continue; // something was requested first
            }
            VmExit exit = step.perform(handler);
            if (exit != null) {
                lastExit.returned(step, exit);
                return exit;
            }
            if (!step.isFinished()) {
                gate.await(step::canGoOn);
            }
        }
    }

    @Override
    public void interrupt() {
        gate.interrupt();
    }

    @Override
    public void respond(long value) {
        whileStopped(() -> {
            lastExit.give(value);
            return true;
        });
    }

    @Override
    public void respond(Bytes data) {
        Objects.requireNonNull(data, "data");
        whileStopped(() -> {
            lastExit.give(data);
            return true;
        });
    }

    @Override
    public void respondFault() {
        whileStopped(() -> {
            lastExit.giveFault();
            return true;
        });
    }

    @Override
    <T> T withState(Supplier<T> action) {
        return whileStopped(() -> {
            if (!gate.isRunByCurrentThread()) {
                lastExit.settle();
            }
            return action.get();
        });
    }

    private <T> T whileStopped(Supplier<T> action) {
        if (!gate.beginState()) {
            return action.get();
        }
        try {
            return action.get();
        } finally {
            if (gate.endState()) {
                release();
            }
        }
    }

    @Override
    public void close() {
        if (gate.close()) {
            release();
        } else if (!vm.isRunByCurrentThread()) {
            // A thread that runs another vCPU of this VM would be waited for by those that it waits for.
            gate.awaitClosed();
        }
    }

    /** Requests closing without waiting for it. */
    void closeWithoutWaiting() {
        if (gate.close()) {
            release();
        }
    }

    private void release() {
        try {
            guest.close();
        } finally {
            // First those who wait for this vCPU, then the VM, whose closing may have to wait for them.
            gate.closed();
            vm.vcpuClosed(this);
        }
    }

    /** Whether the calling thread runs this vCPU, or is the one of its program. */
    boolean isRunByCurrentThread() {
        return gate.isRunByCurrentThread() || guest.isCurrent();
    }

    /** Has the running thread look again at what it waits for. */
    void wake() {
        gate.wake();
    }

    @Override
    CpuState.Life life() {
        return life;
    }

    GuestThread guest() {
        return guest;
    }

    @Override
    CpuState cpu() {
        return cpu;
    }

    @Override
    Activity activity() {
        return activity;
    }

    private static long nanos(Duration limit) {
        try {
            return limit.toNanos();
        } catch (ArithmeticException beyondLong) {
            return limit.isNegative() ? 0 : RunGate.NO_LIMIT;
        }
    }

    /** Returns its number. */
    @Override
    public String toString() {
        return "vCPU " + id;
    }
}
