package io.github.jkvm.kvm;

import io.github.jkvm.Capability;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.kvm.ffi.Ioctl;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.layout.Struct;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Requests of one descriptor whose refusals tell what the caller did wrong.
 *
 * @param fd the descriptor
 */
record StructCall(OwnedFd fd) {
    /** No errno has a meaning of its own. */
    static final Map<Integer, String> USUAL = Map.of();

    /**
     * Has the kernel fill a structure.
     *
     * @param request the request
     * @param struct the structure
     * @param hints what the caller did wrong, by errno; others get the usual hint
     * @param read makes the result of it
     */
    <T> T get(Ioctl request, Struct struct, Map<Integer, String> hints, Function<MemorySegment, T> read) {
        return exchange(request, struct, "", hints, memory -> {}, read);
    }

    /**
     * Gives the kernel a structure.
     *
     * @param request the request
     * @param struct the structure
     * @param what its content, for messages
     * @param hints what the caller did wrong, by errno; others get the usual hint
     * @param write fills it
     */
    void set(Ioctl request, Struct struct, String what, Map<Integer, String> hints, Consumer<MemorySegment> write) {
        exchange(request, struct, what, hints, write, memory -> true);
    }

    /** Gives the kernel a structure that it changes. */
    <T> T exchange(
            Ioctl request,
            Struct struct,
            String what,
            Map<Integer, String> hints,
            Consumer<MemorySegment> write,
            Function<MemorySegment, T> read) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = struct.allocate(arena);
            write.accept(memory);
            call(request, memory, what, hints);
            return read.apply(memory);
        }
    }

    /** Makes a request with memory, which the message does not describe: {@code what} does. */
    int call(Ioctl request, MemorySegment memory, String what, Map<Integer, String> hints) {
        return checked(request, fd.tryIoctl(request, memory), what, hints);
    }

    /** Makes a request with a number. */
    int call(Ioctl request, long number, String what, Map<Integer, String> hints) {
        return checked(request, fd.tryIoctl(request, number), what, hints);
    }

    private int checked(Ioctl request, int result, String what, Map<Integer, String> hints) {
        if (result < 0) {
            throw refusal(request, -result, what, hints);
        }
        return result;
    }

    /** Returns what to throw when a request failed. */
    KvmException refusal(Ioctl request, int errno, String what, Map<Integer, String> hints) {
        String arguments = what.isEmpty() ? fd.toString() : fd + ", " + what;
        String hint = hints.get(errno);
        return hint == null
                ? KvmException.of(request.name(), arguments, errno)
                : new KvmException(request.name(), arguments, errno, hint);
    }

    /**
     * Refuses an operation that the host can't serve, before it is tried.
     *
     * @param vm the descriptor of a VM, or {@code /dev/kvm}
     * @param capability what is needed
     * @param what what needs it, and after a semicolon what can be done without
     */
    static void require(OwnedFd vm, Capability capability, String what) {
        if (!HostCapabilities.has(vm, capability)) {
            throw new UnsupportedCapabilityException(
                    capability, "this host's KVM lacks " + capability + ", needed for " + what);
        }
    }
}
