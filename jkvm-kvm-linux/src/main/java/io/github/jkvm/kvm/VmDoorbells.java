package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.InterruptNumbers.KVM_IOEVENTFD_FLAG_DATAMATCH;
import static io.github.jkvm.kvm.layout.InterruptNumbers.KVM_IOEVENTFD_FLAG_DEASSIGN;
import static io.github.jkvm.kvm.layout.InterruptNumbers.KVM_IOEVENTFD_FLAG_PIO;
import static io.github.jkvm.kvm.layout.InterruptStructs.KVM_IOEVENTFD;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.github.jkvm.Capability;
import io.github.jkvm.Doorbell;
import io.github.jkvm.HostFile;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.EventFd;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.VmIoctls;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Supplier;

/** The doorbells of one VM: ioeventfds (Linux, Documentation/virt/kvm/api.rst, KVM_IOEVENTFD). */
final class VmDoorbells implements AutoCloseable {
    private static final long DATAMATCH = KVM_IOEVENTFD.offset("datamatch");
    private static final long ADDR = KVM_IOEVENTFD.offset("addr");
    private static final long LEN = KVM_IOEVENTFD.offset("len");
    private static final long FD = KVM_IOEVENTFD.offset("fd");
    private static final long FLAGS = KVM_IOEVENTFD.offset("flags");

    private final OwnedFd vm;
    private final OpenChildren<KvmDoorbell> open = new OpenChildren<>();

    /**
     * Creates the set, empty.
     *
     * @param vm the VM's descriptor, which stays the caller's and is closed after this
     */
    VmDoorbells(OwnedFd vm) {
        this.vm = vm;
    }

    /** Places a doorbell; see {@link io.github.jkvm.Vm#doorbell}. */
    Doorbell place(Doorbell.Match match) {
        return place(match, () -> EventFd.create(KvmDoorbell.describe(match)));
    }

    /** Places a doorbell for an event of the caller's; see {@link io.github.jkvm.Vm#doorbell(Doorbell.Match, HostFile)}. */
    Doorbell place(Doorbell.Match match, HostFile event) {
        OwnedFd fd = HostEvents.descriptor(event);
        return place(match, () -> EventFd.borrow(fd));
    }

    private Doorbell place(Doorbell.Match match, Supplier<EventFd> events) {
        if (match.length() == 0) {
            StructCall.require(vm, Capability.IOEVENTFD_ANY_LENGTH, "a doorbell of any length; give a length");
        }
        StructCall.require(vm, Capability.IOEVENTFD, "a doorbell; handle the guest's write as an exit instead");
        return open.add(() -> {
            EventFd event = events.get();
            var doorbell = new KvmDoorbell(match, event, this::detach);
            try {
                int result = request(doorbell, 0);
                if (result < 0) {
                    throw new KvmException(VmIoctls.KVM_IOEVENTFD.name(), doorbell.toString(), -result, hint(-result));
                }
            } catch (Throwable t) {
                event.close();
                throw t;
            }
            return doorbell;
        });
    }

    private void detach(KvmDoorbell doorbell) {
        open.remove(doorbell);
        int result;
        try {
            result = request(doorbell, KVM_IOEVENTFD_FLAG_DEASSIGN);
        } catch (IllegalStateException vmIsClosed) {
            return; // and took its doorbells with it
        }
        if (result < 0) {
            throw KvmException.of(VmIoctls.KVM_IOEVENTFD.name(), "take off " + doorbell, -result);
        }
    }

    private int request(KvmDoorbell doorbell, int operation) {
        Doorbell.Match match = doorbell.match();
        Long value = match.value();
        int flags = operation
                | (match.space() == Doorbell.Space.PORT ? KVM_IOEVENTFD_FLAG_PIO : 0)
                | (value != null ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = KVM_IOEVENTFD.allocate(arena);
            request.set(JAVA_LONG, DATAMATCH, value == null ? 0 : lowBytes(value, match.length()));
            request.set(JAVA_LONG, ADDR, match.address());
            request.set(JAVA_INT, LEN, match.length());
            request.set(JAVA_INT, FLAGS, flags);
            OwnedFd event = doorbell.event().fd();
            request.set(JAVA_INT, FD, event.acquire());
            try {
                return vm.tryIoctl(VmIoctls.KVM_IOEVENTFD, request);
            } finally {
                event.release();
            }
        }
    }

    /** The kernel compares with the bytes written, extended by zeroes; a program may well have said -1. */
    private static long lowBytes(long value, int length) {
        return length == Long.BYTES ? value : value & ((1L << (length * Byte.SIZE)) - 1);
    }

    private static String hint(int errno) {
        return switch (errno) {
            case Errno.EEXIST ->
                "there is a doorbell for these writes already; close it first, or give both a length and a value of their own";
            case Errno.ENOSPC -> "the kernel has no room for more doorbells in this VM; close some";
            case Errno.EINVAL -> "the address and length pass the end of the address space";
            case Errno.EMFILE, Errno.ENFILE -> "too many files are open; raise the limit with 'ulimit -n NUMBER'";
            default -> "the kernel refuses it; see KVM_IOEVENTFD in Documentation/virt/kvm/api.rst of Linux";
        };
    }

    /** Closes every doorbell. None can be placed after. */
    @Override
    public void close() {
        open.close();
    }
}
