package io.github.jkvm.kvm;

import io.github.jkvm.Capability;
import io.github.jkvm.DirtyPages;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.InterruptRoute;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.VCpu;
import io.github.jkvm.Vm;
import io.github.jkvm.kvm.ffi.MappedMemory;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/** A virtual machine of KVM, with what only KVM has. */
public class KvmVm implements Vm {
    private final KvmHypervisor hypervisor;
    private final OwnedFd vm;
    private final MemorySlots memory;
    private final Object lock = new Object();
    private final Set<KvmVCpu> vcpus = new LinkedHashSet<>();
    private final BitSet usedIds = new BitSet();
    private final CountDownLatch closed = new CountDownLatch(1);
    private boolean closing;
    private boolean finishing;

    KvmVm(KvmHypervisor hypervisor, OwnedFd vm) {
        this.hypervisor = hypervisor;
        this.vm = vm;
        this.memory = new MemorySlots(vm, hypervisor.maxMemoryRegions(), hypervisor.pageSize());
    }

    /**
     * Returns KVM's view of a VM.
     *
     * @param vm the VM
     * @return the same object
     * @throws UnsupportedOperationException if it is of another hypervisor
     */
    public static KvmVm of(Vm vm) {
        if (vm instanceof KvmVm kvm) {
            return kvm;
        }
        throw new UnsupportedOperationException(vm.hypervisor().description() + " is not KVM");
    }

    @Override
    public KvmHypervisor hypervisor() {
        return hypervisor;
    }

    @Override
    public boolean supports(Capability capability) {
        return HostCapabilities.has(vm, capability);
    }

    /**
     * Asks for a capability by KVM's number ({@code KVM_CHECK_EXTENSION}), also for one this library does not know.
     *
     * @param number {@code KVM_CAP_*}
     * @return 0 if this VM lacks it; else 1, or a number whose meaning depends on the capability
     * @throws IllegalStateException if this VM is closed
     */
    public int checkExtension(int number) {
        return HostCapabilities.ask(vm, number);
    }

    /**
     * Switches a capability of this VM on by KVM's number ({@code KVM_ENABLE_CAP}), for those this library has no method for.
     *
     * @param number {@code KVM_CAP_*}
     * @param arguments up to four numbers, whose meaning depends on the capability
     * @throws IllegalArgumentException if there are more
     * @throws IllegalStateException if this VM is closed
     * @throws KvmException if the host refuses
     */
    public void enableCapability(int number, long... arguments) {
        VmCapability.enable(vm, number, arguments);
    }

    @Override
    public GuestMemory memory() {
        return memory.memory();
    }

    @Override
    public MemoryRegion addMemory(GuestAddress base, MemoryBacking backing, MemoryRegion.Access access) {
        if (access == MemoryRegion.Access.READ_ONLY && !supports(Capability.READONLY_MEMORY)) {
            throw new UnsupportedCapabilityException(
                    Capability.READONLY_MEMORY,
                    "this host's KVM has no memory that a guest can only read; add it as READ_WRITE");
        }
        return memory.add(base, backing, access);
    }

    @Override
    public void removeMemory(MemoryRegion region) {
        memory.remove(region);
    }

    @Override
    public void startDirtyTracking(MemoryRegion region) {
        memory.startDirtyTracking(region);
    }

    @Override
    public void stopDirtyTracking(MemoryRegion region) {
        memory.stopDirtyTracking(region);
    }

    @Override
    public DirtyPages takeDirtyPages(MemoryRegion region) {
        return memory.takeDirtyPages(region);
    }

    @Override
    public VCpu createVCpu(int id) {
        return addVCpu(id);
    }

    final KvmVCpu addVCpu(int id) {
        synchronized (lock) {
            checkOpen();
            int ids = hypervisor.maxVCpuIds();
            if (id < 0 || id >= ids) {
                throw new IllegalArgumentException("vCPU id " + id + " must be from 0 to " + (ids - 1));
            }
            if (usedIds.get(id)) {
                throw new IllegalArgumentException(
                        "vCPU id " + id + " is taken, or was before; KVM frees it only with the VM");
            }
            OwnedFd fd = new OwnedFd(vm.ioctl(VmIoctls.KVM_CREATE_VCPU, id), KvmVCpu.name(id));
            usedIds.set(id);
            Arena arena = MappedMemory.openLifetime();
            try {
                KvmVCpu vcpu = newVCpu(id, fd, arena, mapRunPage(fd, arena));
                vcpus.add(vcpu);
                return vcpu;
            } catch (RuntimeException | Error failure) {
                arena.close();
                fd.close();
                throw failure;
            }
        }
    }

    KvmVCpu newVCpu(int id, OwnedFd fd, Arena arena, MemorySegment run) {
        return new KvmVCpu(this, id, fd, arena, run, hypervisor.timer());
    }

    private MemorySegment mapRunPage(OwnedFd vcpu, Arena arena) {
        int fd = vcpu.acquire();
        try {
            return MappedMemory.map(arena, hypervisor.runPageSize(), MappedMemory.MAP_SHARED, fd, 0);
        } catch (MappedMemory.MapFailed refused) {
            throw KvmException.of("mmap", "run page of " + vcpu, refused.errno());
        } finally {
            vcpu.release();
        }
    }

    @Override
    public List<VCpu> vcpus() {
        synchronized (lock) {
            return List.copyOf(vcpus);
        }
    }

    @Override
    public InterruptLine interruptLine(int gsi) {
        throw new UnsupportedOperationException("needs an interrupt controller");
    }

    @Override
    public Interrupt interrupt(int gsi) {
        throw new UnsupportedOperationException("needs an interrupt controller");
    }

    @Override
    public Interrupt resampledInterrupt(int gsi, EventLoop loop, Runnable onEnd) {
        throw new UnsupportedOperationException("needs an interrupt controller");
    }

    @Override
    public void setInterruptRoutes(List<InterruptRoute> routes) {
        throw new UnsupportedOperationException("needs an interrupt controller");
    }

    @Override
    public Delivery sendMessage(long address, int data) {
        throw new UnsupportedOperationException("needs an interrupt controller");
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match) {
        throw new UnsupportedOperationException("needs an interrupt controller");
    }

    @Override
    public EventLoop createEventLoop(@Nullable String name) {
        throw new UnsupportedOperationException("needs an interrupt controller");
    }

    final OwnedFd fd() {
        return vm;
    }

    /** Whether the calling thread is within this VM, so that waiting for the VM to stop would be waiting for itself. */
    final boolean isRunByCurrentThread() {
        synchronized (lock) {
            return vcpus.stream().anyMatch(KvmVCpu::isRunByCurrentThread);
        }
    }

    @Override
    public void close() {
        List<KvmVCpu> stopping;
        synchronized (lock) {
            closing = true;
            stopping = List.copyOf(vcpus);
        }
        if (isRunByCurrentThread()) {
            // The last vCPU to be left does the rest.
            stopping.forEach(KvmVCpu::closeWithoutWaiting);
            return;
        }
        stopping.forEach(KvmVCpu::close);
        finishClosing();
        awaitClosed();
    }

    final void vcpuClosed(KvmVCpu vcpu) {
        synchronized (lock) {
            vcpus.remove(vcpu);
            if (!closing) {
                return;
            }
        }
        finishClosing();
    }

    private void finishClosing() {
        synchronized (lock) {
            if (finishing || !vcpus.isEmpty()) {
                return;
            }
            finishing = true;
        }
        try {
            vm.close();
            memory.close();
        } finally {
            hypervisor.vmClosed(this);
            closed.countDown();
        }
    }

    private void awaitClosed() {
        boolean interrupted = false;
        while (true) {
            try {
                closed.await();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void checkOpen() {
        if (closing) {
            throw new IllegalStateException("VM is closed");
        }
    }
}
