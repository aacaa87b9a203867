package io.github.jkvm.kvm.ffi;

import static io.github.jkvm.kvm.ffi.NativeAccess.link;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The call that the kernel's random bytes come from, in the manner of {@link Libc}. */
public final class EntropyCalls {
    private static final MethodHandle GETRANDOM =
            link("getrandom", FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_INT));

    private EntropyCalls() {}

    /**
     * {@code getrandom(2)}. Without flags it waits until the kernel has been seeded, which is early in its start, and never again; of more than
     * 256 bytes, a signal may leave fewer.
     */
    public static long getrandom(MemorySegment buffer, long length, int flags) {
        MemorySegment captured = NativeAccess.captured();
        try {
            return Libc.result((long) GETRANDOM.invokeExact(captured, buffer, length, flags), captured);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
    }
}
