package io.github.jkvm.kvm;

import io.github.jkvm.Capability;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.Capabilities;
import io.github.jkvm.kvm.layout.SystemIoctls;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** KVM on this host, with what only KVM has. */
public class KvmHypervisor implements Hypervisor {
    /** What KVM allows if it does not say (Documentation/virt/kvm/api.rst, 4.7 and 4.35). */
    private static final int DEFAULT_VCPUS = 4;

    private static final int DEFAULT_REGIONS = 32;

    private final Path path;
    private final OwnedFd device;
    private final DeadlineTimer timer = new DeadlineTimer();
    private final Set<KvmVm> vms = new LinkedHashSet<>();
    private final long runPageSize;
    private final long pageSize;
    private boolean closed;

    KvmHypervisor(Path path, OwnedFd device) {
        this.path = path;
        this.device = device;
        this.runPageSize = device.ioctl(SystemIoctls.KVM_GET_VCPU_MMAP_SIZE, 0);
        this.pageSize = Libc.getpagesize();
    }

    static KvmHypervisor of(Path path, OwnedFd device) {
        return switch (HostArchitecture.current()) {
            case X86_64 -> new KvmX86Hypervisor(path, device);
            case AARCH64 -> new KvmHypervisor(path, device);
        };
    }

    /**
     * Returns KVM's view of a hypervisor.
     *
     * @param hypervisor the hypervisor
     * @return the same object
     * @throws UnsupportedOperationException if it is another one
     */
    public static KvmHypervisor of(Hypervisor hypervisor) {
        if (hypervisor instanceof KvmHypervisor kvm) {
            return kvm;
        }
        throw new UnsupportedOperationException(hypervisor.description() + " is not KVM");
    }

    @Override
    public String description() {
        return "KVM API " + KvmDeviceFile.API_VERSION + " (" + path + ")";
    }

    @Override
    public boolean supports(Capability capability) {
        return HostCapabilities.has(device, capability);
    }

    /**
     * Asks for a capability by KVM's number ({@code KVM_CHECK_EXTENSION}), also for one this library does not know.
     *
     * @param number {@code KVM_CAP_*}
     * @return 0 if the host lacks it; else 1, or a number whose meaning depends on the capability
     * @throws IllegalStateException if this hypervisor is closed
     */
    public int checkExtension(int number) {
        return HostCapabilities.ask(device, number);
    }

    @Override
    public int maxVCpus() {
        int most = checkExtension(Capabilities.KVM_CAP_MAX_VCPUS);
        int advised = checkExtension(Capabilities.KVM_CAP_NR_VCPUS);
        return most > 0 ? most : advised > 0 ? advised : DEFAULT_VCPUS;
    }

    @Override
    public int maxMemoryRegions() {
        int slots = checkExtension(Capabilities.KVM_CAP_NR_MEMSLOTS);
        return slots > 0 ? slots : DEFAULT_REGIONS;
    }

    /**
     * Returns the highest vCPU id there may be, plus 1. It can be above {@link #maxVCpus()}: ids may have gaps.
     *
     * @return the limit
     * @throws IllegalStateException if this hypervisor is closed
     */
    public int maxVCpuIds() {
        int ids = checkExtension(Capabilities.KVM_CAP_MAX_VCPU_ID);
        return ids > 0 ? ids : maxVCpus();
    }

    @Override
    public MemoryImage createMemoryImage(long size, String name) {
        checkOpen();
        checkImageSize(size, "");
        return new KvmMemoryImage(HostMemory.of(MemoryBacking.memfd(size, name)));
    }

    @Override
    public MemoryImage openMemoryImage(Path file) {
        checkOpen();
        HostMemory memory = HostMemory.ofFile(file);
        try {
            checkImageSize(memory.segment().byteSize(), " from " + file);
            return KvmMemoryImage.readOnly(memory);
        } catch (RuntimeException | Error failure) {
            memory.closeQuietly();
            throw failure;
        }
    }

    private void checkOpen() {
        synchronized (vms) {
            if (closed) {
                throw new IllegalStateException(description() + " is closed");
            }
        }
    }

    private void checkImageSize(long size, String where) {
        if (size % pageSize != 0) {
            throw new IllegalArgumentException(
                    "memory image of " + size + " bytes" + where + " must be a multiple of the page size " + pageSize);
        }
    }

    @Override
    public KvmVm createVm() {
        return createVm(0);
    }

    /**
     * Creates a VM of a type other than the ordinary one.
     *
     * @param type {@code KVM_X86_*_VM} on x86; on Arm the size of guest-physical addresses in bits, 0 for 40
     * @return the VM, to be closed by the caller
     * @throws IllegalStateException if this hypervisor is closed
     * @throws KvmException if the host refuses
     */
    public KvmVm createVm(long type) {
        synchronized (vms) {
            if (closed) {
                throw new IllegalStateException(description() + " is closed");
            }
            int fd;
            do {
                // A signal during the making of a VM is no failure of it.
                fd = device.tryIoctl(SystemIoctls.KVM_CREATE_VM, type);
            } while (fd == -Errno.EINTR);
            if (fd < 0) {
                throw KvmException.of(SystemIoctls.KVM_CREATE_VM.name(), "type " + type, -fd);
            }
            OwnedFd vm = new OwnedFd(fd, "VM");
            try {
                KvmVm made = newVm(vm);
                vms.add(made);
                return made;
            } catch (RuntimeException | Error failure) {
                vm.close();
                throw failure;
            }
        }
    }

    KvmVm newVm(OwnedFd vm) {
        return new KvmVm(this, vm);
    }

    final OwnedFd device() {
        return device;
    }

    final DeadlineTimer timer() {
        return timer;
    }

    final long runPageSize() {
        return runPageSize;
    }

    final long pageSize() {
        return pageSize;
    }

    final void vmClosed(KvmVm vm) {
        synchronized (vms) {
            vms.remove(vm);
        }
    }

    @Override
    public void close() {
        List<KvmVm> open;
        synchronized (vms) {
            closed = true;
            open = List.copyOf(vms);
        }
        open.forEach(KvmVm::close);
        timer.close();
        device.close();
    }

    /** Returns what {@link #description()} does. */
    @Override
    public String toString() {
        return description();
    }
}
