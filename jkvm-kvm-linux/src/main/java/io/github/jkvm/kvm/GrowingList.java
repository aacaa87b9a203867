package io.github.jkvm.kvm;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Ioctl;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.BiFunction;
import java.util.function.Function;

/** Lists that the kernel fills in if there is room for them, and refuses with {@code E2BIG} if there is not. */
final class GrowingList {
    /** The kernel's own limits are far below: 256 CPUID entries, some hundred MSRs. */
    private static final int MOST_ENTRIES = 1 << 16;

    private GrowingList() {}

    /**
     * Asks with more and more room.
     *
     * @param call the descriptor
     * @param request the request
     * @param firstRoom how many entries there is room for at first
     * @param allocate makes the structure with room for a number of entries
     * @param read makes the result of it
     */
    static <T> T get(
            StructCall call,
            Ioctl request,
            int firstRoom,
            BiFunction<Arena, Integer, MemorySegment> allocate,
            Function<MemorySegment, T> read) {
        for (int room = firstRoom; ; room *= 2) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment memory = allocate.apply(arena, room);
                int result = call.fd().tryIoctl(request, memory);
                if (result >= 0) {
                    return read.apply(memory);
                }
                if (result != -Errno.E2BIG || room >= MOST_ENTRIES) {
                    throw call.refusal(request, -result, "room for " + room + " entries", StructCall.USUAL);
                }
            }
        }
    }
}
