package io.github.jkvm.kvm.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.TimeUnit;

/**
 * What a thread has used of its processor, and how often it slept: {@code struct rusage} (Linux, include/uapi/linux/resource.h) of a 64-bit machine.
 * Unlike the clock, it does not count the time for which others had the processor. Each thread has its own.
 */
public final class ThreadUsage {
    private static final MethodHandle GETRUSAGE =
            NativeAccess.link("getrusage", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ValueLayout.ADDRESS));

    private static final int RUSAGE_THREAD = 1;
    private static final long SIZE = 144;

    /** Of {@code ru_utime} and {@code ru_stime}, each made of seconds and microseconds. */
    private static final long USER_TIME = 0;

    private static final long SYSTEM_TIME = 16;
    private static final long MICROS = 8;

    /** {@code ru_nvcsw}. */
    private static final long SLEEPS = 128;

    private static final ThreadLocal<ThreadUsage> OF_THREAD = ThreadLocal.withInitial(ThreadUsage::new);

    private final MemorySegment usage = Arena.ofAuto().allocate(SIZE, Long.BYTES);

    private ThreadUsage() {}

    /**
     * Reads the figures of the calling thread.
     *
     * @return always the same object for a thread; the next call on that thread changes it
     */
    public static ThreadUsage ofThisThread() {
        ThreadUsage own = OF_THREAD.get();
        MemorySegment captured = NativeAccess.captured();
        try {
            // With these arguments it can't fail (getrusage(2), "ERRORS").
            int _ = (int) GETRUSAGE.invokeExact(captured, RUSAGE_THREAD, own.usage);
        } catch (Throwable t) {
            throw NativeAccess.rethrow(t);
        }
        return own;
    }

    /**
     * Returns for how long the thread has computed.
     *
     * @return time on a processor, in the program and in the kernel, in nanoseconds
     */
    public long cpuNanos() {
        long seconds = usage.get(JAVA_LONG, USER_TIME) + usage.get(JAVA_LONG, SYSTEM_TIME);
        long micros = usage.get(JAVA_LONG, USER_TIME + MICROS) + usage.get(JAVA_LONG, SYSTEM_TIME + MICROS);
        return TimeUnit.SECONDS.toNanos(seconds) + TimeUnit.MICROSECONDS.toNanos(micros);
    }

    /**
     * Returns how often the thread has given up its processor to wait for something.
     *
     * @return the count
     */
    public long sleeps() {
        return usage.get(JAVA_LONG, SLEEPS);
    }
}
