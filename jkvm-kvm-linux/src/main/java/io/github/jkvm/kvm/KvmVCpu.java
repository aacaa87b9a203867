package io.github.jkvm.kvm;

import io.github.jkvm.Bytes;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.VCpu;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Libc;
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
    private static final long RUN = VCpuIoctls.KVM_RUN.number();

    private final KvmVm vm;
    private final int id;
    private final OwnedFd fd;

    /** In use from the making of this object to its closing: {@link VCpuGate} keeps those apart, at no cost for an entry. */
    private final int number;

    private final RunPage page;
    private final VCpuGate gate;
    private final ExitDecoder decoder;
    private final ExitAnswer answer;
    private final DeadlineTimer timer;

    /** The kernel has something to finish on the next entry, with what is in the run page. */
    private boolean unfinished;

    /** Finishing led to a further exit, for the next run to return. */
    private boolean early;

    private int earlyResult;

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
        this.number = fd.acquire();
        this.page = page;
        this.timer = timer;
        this.gate = new VCpuGate(page, timer, name(id));
        this.decoder = new ExitDecoder(page, HostArchitecture.current());
        this.answer = new ExitAnswer(page, name(id));
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
                exit = runUntilExit(handler);
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

    private VmExit runUntilExit(@Nullable ExitHandler handler) {
        boolean virtual = Thread.currentThread().isVirtual();
        while (true) {
            if (virtual) {
                gate.rebind();
            }
            int result = enter();
            if (result >= 0) {
                int reason = page.exitReason();
                unfinished = isFinishedByEntry(reason);
                if (handler != null && reason == RunNumbers.KVM_EXIT_IO) {
                    servePort(handler);
                    continue;
                }
                if (handler != null && reason == RunNumbers.KVM_EXIT_MMIO) {
                    serveMmio(handler);
                    continue;
                }
                VmExit exit = decoder.decode();
                if (exit != null) {
                    answer.ask(exit);
                    return exit;
                }
            } else if (result == -Errno.EINTR || result == -Errno.EAGAIN) {
                unfinished = false;
            } else {
                return failedEntry(-result);
            }
            VmExit requested = gate.takeRequest();
            if (requested != null) {
                return requested;
            }
        }
    }

    private int enter() {
        if (early) {
            early = false;
            return earlyResult;
        }
        return Libc.ioctl(number, RUN, 0L);
    }

    /** An entry that fails may still be an exit (Documentation/virt/kvm/api.rst, KVM_EXIT_MEMORY_FAULT). */
    private VmExit failedEntry(int errno) {
        unfinished = false;
        if ((errno == Errno.EFAULT || errno == Errno.EHWPOISON)
                && page.exitReason() == RunNumbers.KVM_EXIT_MEMORY_FAULT) {
            VmExit exit = Objects.requireNonNull(decoder.decode());
            answer.ask(exit);
            return exit;
        }
        String hint = switch (errno) {
            case Errno.EFAULT ->
                "the guest touched memory that the host can't provide: a file that was cut short, or the"
                        + " host is out of memory";
            case Errno.EINVAL -> "the vCPU's state is not one that the processor can run";
            case Errno.EIO -> "the VM belongs to another process; a VM can't be used after a fork";
            default -> "the host can't run the vCPU";
        };
        throw new KvmException(VCpuIoctls.KVM_RUN.name(), name(id), errno, hint);
    }

    private void servePort(ExitHandler handler) {
        int port = page.port();
        int size = page.portSize();
        int count = page.portCount();
        long data = page.portData();
        if (!page.portIsRead()) {
            for (int i = 0; i < count; i++) {
                handler.portOut(port, size, page.element(data + (long) i * size, size));
            }
            return;
        }
        int done = 0;
        try {
            for (; done < count; done++) {
                page.setElement(data + (long) done * size, size, handler.portIn(port, size));
            }
        } finally {
            for (; done < count; done++) {
                page.setElement(data + (long) done * size, size, ExitDecoder.ALL_ONES);
            }
        }
    }

    private void serveMmio(ExitHandler handler) {
        long address = page.mmioAddress();
        int length = page.mmioLength();
        if (page.mmioIsWrite()) {
            handler.mmioWrite(address, length, page.mmioData(length));
            return;
        }
        long value = ExitDecoder.ALL_ONES;
        try {
            value = handler.mmioRead(address, length);
        } finally {
            page.setMmioData(value);
        }
    }

    /** Whether the kernel waits for the next entry to complete the instruction. Reasons not known here may; an entry more does no harm. */
    private static boolean isFinishedByEntry(int reason) {
        return switch (reason) {
            case RunNumbers.KVM_EXIT_HLT,
                    RunNumbers.KVM_EXIT_SHUTDOWN,
                    RunNumbers.KVM_EXIT_FAIL_ENTRY,
                    RunNumbers.KVM_EXIT_INTERNAL_ERROR,
                    RunNumbers.KVM_EXIT_INTR,
                    RunNumbers.KVM_EXIT_IRQ_WINDOW_OPEN -> false;
            default -> true;
        };
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
                settle();
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

    private void settle() {
        if (!unfinished || early) {
            return;
        }
        answer.finish();
        page.setImmediateExit(true);
        int result = Libc.ioctl(number, RUN, 0L);
        page.setImmediateExit(false);
        unfinished = false;
        if (result != -Errno.EINTR) {
            // One instruction may leave the guest several times, such as a read across two pages.
            early = true;
            earlyResult = result;
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
