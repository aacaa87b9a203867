package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_CREATE_GUEST_MEMFD;
import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_MEMORY_ATTRIBUTES;

import io.github.jkvm.Capability;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.MemoryStructs;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;

/**
 * Memory that belongs to the guest alone: the kernel gives its pages to the guest, and this process can't map them (Linux,
 * Documentation/virt/kvm/api.rst, KVM_CREATE_GUEST_MEMFD). Made by {@link KvmVm#createGuestMemfd} and put into the guest's address space by
 * {@link KvmVm#addMemory(io.github.jkvm.GuestAddress, io.github.jkvm.MemoryBacking, GuestMemfd, long)}.
 */
public final class GuestMemfd implements AutoCloseable {
    private static final long SIZE = KVM_CREATE_GUEST_MEMFD.offset("size");

    private static final long ATTRIBUTES_ADDRESS = KVM_MEMORY_ATTRIBUTES.offset("address");
    private static final long ATTRIBUTES_SIZE = KVM_MEMORY_ATTRIBUTES.offset("size");
    private static final long ATTRIBUTES = KVM_MEMORY_ATTRIBUTES.offset("attributes");

    private final long size;
    private final OwnedFd fd;
    private final Consumer<GuestMemfd> onClose;

    /** Which of the two sets of pages of a region the guest uses. */
    public enum Pages {
        /** Those that this process sees. */
        SHARED,
        /** Those of the guest memfd. */
        PRIVATE
    }

    private GuestMemfd(long size, OwnedFd fd, Consumer<GuestMemfd> onClose) {
        this.size = size;
        this.fd = fd;
        this.onClose = onClose;
    }

    static GuestMemfd create(OwnedFd vm, long size, Consumer<GuestMemfd> onClose) {
        StructCall.require(vm, Capability.GUEST_MEMFD, "createGuestMemfd(); Linux 6.8 has it");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = KVM_CREATE_GUEST_MEMFD.allocate(arena);
            request.set(ValueLayout.JAVA_LONG, SIZE, size);
            int fd = vm.tryIoctl(VmIoctls.KVM_CREATE_GUEST_MEMFD, request);
            if (fd < 0) {
                throw new KvmException(
                        VmIoctls.KVM_CREATE_GUEST_MEMFD.name(),
                        size + " bytes",
                        -fd,
                        "the size must be a multiple of the page size, above 0, and the VM of a type that has such memory");
            }
            return new GuestMemfd(size, new OwnedFd(fd, "guest memfd of " + size + " bytes"), onClose);
        }
    }

    /** Sets which pages a VM's guest uses; see {@link KvmVm#setMemoryAttributes}. */
    static void setPages(OwnedFd vm, GuestAddress base, long size, Pages pages) {
        StructCall.require(
                vm, Capability.MEMORY_ATTRIBUTES, "setMemoryAttributes(); Linux 6.8 has them, for VMs of some types");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = KVM_MEMORY_ATTRIBUTES.allocate(arena);
            request.set(ValueLayout.JAVA_LONG, ATTRIBUTES_ADDRESS, base.value());
            request.set(ValueLayout.JAVA_LONG, ATTRIBUTES_SIZE, size);
            request.set(
                    ValueLayout.JAVA_LONG,
                    ATTRIBUTES,
                    pages == Pages.PRIVATE ? MemoryStructs.KVM_MEMORY_ATTRIBUTE_PRIVATE : 0);
            int result = vm.tryIoctl(VmIoctls.KVM_SET_MEMORY_ATTRIBUTES, request);
            if (result < 0) {
                throw KvmException.of(
                        VmIoctls.KVM_SET_MEMORY_ATTRIBUTES.name(), pages + ", " + size + " bytes at " + base, -result);
            }
        }
    }

    /**
     * Returns how large it is.
     *
     * @return the size in bytes
     */
    public long size() {
        return size;
    }

    OwnedFd fd() {
        return fd;
    }

    /** Lets go of the descriptor. Memory regions that use it keep the memory. Closing twice does nothing. */
    @Override
    public void close() {
        onClose.accept(this);
        fd.close();
    }

    /** Returns what it is. */
    @Override
    public String toString() {
        return fd.toString();
    }
}
