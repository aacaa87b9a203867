package io.github.jkvm.kvm;

import io.github.jkvm.Bytes;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.VCpu;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.InterruptStructs;
import io.github.jkvm.kvm.layout.RunNumbers;
import io.github.jkvm.kvm.layout.VCpuIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A vCPU of KVM, with what only KVM has.
 *
 * <p>Its state may also be read and written from within an {@link ExitHandler} of its own run, and is then the state before the access that is
 * being handled is finished. Between runs, reading or writing state finishes the last exit first, so answer it before
 * ({@link #respond}).
 */
public class KvmVCpu implements VCpu {
    private final KvmVm vm;
    private final int id;
    private final OwnedFd fd;

    private final RunPage page;
    private final VCpuGate gate;
    private final ExitAnswer answer;
    private final RunLoop loop;
    private final DeadlineTimer timer;

    /**
     * Takes over a vCPU.
     *
     * @param vm the VM
     * @param id its number
     * @param fd its descriptor
     * @param page what it shares with the kernel, unmapped by this object
     * @param timer where deadlines are watched
     */
    KvmVCpu(KvmVm vm, int id, OwnedFd fd, RunPage page, DeadlineTimer timer) {
        this.vm = vm;
        this.id = id;
        this.fd = fd;
        this.page = page;
        this.timer = timer;
        this.gate = new VCpuGate(page, timer, name(id));
        this.answer = new ExitAnswer(page, name(id));
        // In use until this object is closed: the gate keeps entries and closing apart, at no cost for an entry.
        this.loop = new RunLoop(fd.acquire(), page, gate, answer, name(id));
    }

    /**
     * Returns KVM's view of a vCPU.
     *
     * @param vcpu the vCPU
     * @return the same object
     * @throws UnsupportedOperationException if it is of another hypervisor
     */
    public static KvmVCpu of(VCpu vcpu) {
        if (vcpu instanceof KvmVCpu kvm) {
            return kvm;
        }
        throw new UnsupportedOperationException(vcpu.vm().hypervisor().description() + " is not KVM");
    }

    static String name(int id) {
        return "vCPU " + id;
    }

    @Override
    public int id() {
        return id;
    }

    @Override
    public KvmVm vm() {
        return vm;
    }

    @Override
    public VmExit run() {
        return run(null, VCpuGate.NO_LIMIT);
    }

    @Override
    public VmExit run(Duration limit) {
        return run(null, nanos(limit));
    }

    @Override
    public VmExit run(ExitHandler handler) {
        return run(Objects.requireNonNull(handler, "handler"), VCpuGate.NO_LIMIT);
    }

    @Override
    public VmExit run(ExitHandler handler, Duration limit) {
        return run(Objects.requireNonNull(handler, "handler"), nanos(limit));
    }

    private VmExit run(@Nullable ExitHandler handler, long limitNanos) {
        VmExit exit = gate.begin(limitNanos);
        boolean closing = false;
        try {
            answer.finish();
            if (exit == null) {
                exit = loop.run(handler);
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

    @Override
    public void interrupt() {
        gate.interrupt();
    }

    @Override
    public void respond(long value) {
        whileStopped(() -> {
            answer.give(value);
            return null;
        });
    }

    @Override
    public void respond(Bytes data) {
        Objects.requireNonNull(data, "data");
        whileStopped(() -> {
            answer.give(data);
            return null;
        });
    }

    @Override
    public void respondFault() {
        whileStopped(() -> {
            answer.fault();
            return null;
        });
    }

    /**
     * Lets {@link VmExit.IrqWindowOpen} happen as soon as the guest can take an interrupt. For VMs without an interrupt controller in
     * the hypervisor (x86).
     *
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     */
    public void requestInterruptWindow() {
        whileStopped(() -> {
            page.setU8("request_interrupt_window", 1);
            return null;
        });
    }

    /**
     * Ends what {@link #requestInterruptWindow} began.
     *
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     */
    public void cancelInterruptWindow() {
        whileStopped(() -> {
            page.setU8("request_interrupt_window", 0);
            return null;
        });
    }

    /**
     * Tells whether the guest could take an interrupt when it last stopped ({@code ready_for_interrupt_injection}; x86).
     *
     * @return true if it could
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     */
    public boolean isReadyForInterrupt() {
        return whileStopped(() -> page.u8("ready_for_interrupt_injection") != 0);
    }

    /**
     * Tells whether the guest was in system management mode when it last stopped (x86).
     *
     * @return true if it was
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     */
    public boolean isInSystemManagementMode() {
        return whileStopped(() -> (page.u16("flags") & RunNumbers.KVM_RUN_X86_SMM) != 0);
    }

    /**
     * Sets which signals are blocked while the guest runs ({@code KVM_SET_SIGNAL_MASK}). {@link #interrupt()} sends one: it must not be among
     * them.
     *
     * @param blocked bit 0 for signal 1, and so on
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     * @throws KvmException if the host refuses
     */
    public void setSignalMask(long blocked) {
        whileStopped(() -> {
            try (Arena temporary = Arena.ofConfined()) {
                MemorySegment mask = InterruptStructs.KVM_SIGNAL_MASK.allocate(temporary, Long.BYTES);
                mask.set(ValueLayout.JAVA_INT, InterruptStructs.KVM_SIGNAL_MASK.offset("len"), Long.BYTES);
                mask.set(ValueLayout.JAVA_LONG_UNALIGNED, InterruptStructs.KVM_SIGNAL_MASK.offset("sigset"), blocked);
                return fd.ioctl(VCpuIoctls.KVM_SET_SIGNAL_MASK, mask);
            }
        });
    }

    /**
     * Lets the thread's own mask hold while the guest runs, as it does from the start.
     *
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     * @throws KvmException if the host refuses
     */
    public void clearSignalMask() {
        whileStopped(() -> fd.ioctl(VCpuIoctls.KVM_SET_SIGNAL_MASK, 0));
    }

    /**
     * Returns the ring of pages that this vCPU wrote.
     *
     * @return the ring, which can be read until the VM is closed
     * @throws IllegalStateException if the VM has none; see {@link KvmVm#enableDirtyRing}
     */
    public DirtyRing dirtyRing() {
        return vm.dirtyRings().of(id);
    }

    /**
     * Reads what the kernel counts about this vCPU ({@code KVM_GET_STATS_FD}). May be called while it runs.
     *
     * @return the statistics at this moment
     * @throws IllegalStateException if this vCPU is closed
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host lacks {@link io.github.jkvm.Capability#BINARY_STATS}
     */
    public KvmStats statistics() {
        return StatsFile.read(vm.fd(), fd);
    }

    /**
     * Returns the settings the kernel keeps for this vCPU by group and number. To be used while it does not run: the kernel lets those who
     * use them meanwhile wait.
     *
     * @return the attributes
     */
    public DeviceAttributes attributes() {
        return new DeviceAttributes(fd);
    }

    /**
     * Returns the registers by KVM's numbers for them.
     *
     * @return the registers
     */
    public OneRegisters oneRegisters() {
        return new OneRegisters(this);
    }

    /**
     * Switches a capability of this vCPU on by KVM's number ({@code KVM_ENABLE_CAP}), for those this library has no method for.
     *
     * @param number {@code KVM_CAP_*}
     * @param arguments up to four numbers, whose meaning depends on the capability
     * @throws IllegalArgumentException if there are more
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     * @throws KvmException if the host refuses
     */
    public void enableCapability(int number, long... arguments) {
        withState(() -> {
            VmCapability.enable(fd, number, arguments);
            return true;
        });
    }

    /**
     * Fills the guest's page tables ahead of use, so that the guest does not leave to have it done ({@code KVM_PRE_FAULT_MEMORY}).
     *
     * @param base where the range begins, a multiple of the page size
     * @param size its size in bytes, a multiple of the page size
     * @throws IllegalArgumentException if the size is negative or the range passes the end of the address space
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     * @throws io.github.jkvm.UnsupportedCapabilityException if the host lacks {@link io.github.jkvm.Capability#PRE_FAULT_MEMORY}
     * @throws KvmException if the host refuses, for instance because there is no memory
     */
    public void preFaultMemory(GuestAddress base, long size) {
        withState(() -> {
            PreFault.fill(vm.fd(), fd, base, size);
            return true;
        });
    }

    final OwnedFd fd() {
        return fd;
    }

    /** The run page, for what shares it with the thread that runs the vCPU. */
    final RunPage page() {
        return page;
    }

    /**
     * Does something with the state as it is after the last exit: finishes that exit first.
     *
     * @param action what to do
     * @return its result
     * @throws IllegalStateException if this vCPU is closed or another thread runs it
     */
    final <T extends @Nullable Object> T withState(Supplier<T> action) {
        return whileStopped(() -> {
            if (!gate.isRunByCurrentThread()) {
                loop.settle();
            }
            return action.get();
        });
    }

    private <T extends @Nullable Object> T whileStopped(Supplier<T> action) {
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
    final void closeWithoutWaiting() {
        if (gate.close()) {
            release();
        }
    }

    final boolean isRunByCurrentThread() {
        return gate.isRunByCurrentThread();
    }

    private void release() {
        try {
            timer.forget(gate);
            fd.release();
            fd.close();
            page.unmap();
        } finally {
            // First those who wait for this vCPU, then the VM, whose closing may have to wait for them.
            gate.closed();
            vm.vcpuClosed(this);
        }
    }

    private static long nanos(Duration limit) {
        try {
            return limit.toNanos();
        } catch (ArithmeticException beyondLong) {
            return limit.isNegative() ? 0 : VCpuGate.NO_LIMIT;
        }
    }

    /** Returns its number. */
    @Override
    public String toString() {
        return name(id);
    }
}
