package io.github.jkvm.kvm.ffi;

import io.github.jkvm.HypervisorUnavailableException;
import io.github.jkvm.kvm.KvmException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;

/**
 * The signal that makes a thread leave {@code KVM_RUN}.
 *
 * <p>What ends the call is that a signal arrives, not what its handler does, so the handler is a function of the C library that does nothing:
 * {@code abs}. Being pure it may run between any two instructions of any thread, and no Java code runs in a signal handler.
 */
public final class KickSignal {
    /** System property with the signal's number. */
    public static final String PROPERTY = "jkvm.kvm.signal";

    /** A real-time signal that neither the JVM (SIGUSR2, 62) nor the C library (32, 33) uses. */
    private static final int DEFAULT = 40;

    private static final int FIRST_REAL_TIME = 34;
    private static final int JVM_SUSPEND = 62;
    private static final int LAST_REAL_TIME = 64;
    private static final int SIG_UNBLOCK = 1;
    private static final long SIG_IGN = 1;
    private static final long SIGSET_BYTES = 128;

    /** {@code struct sigaction} of glibc and musl on 64-bit Linux. */
    private static final StructLayout SIGACTION = MemoryLayout.structLayout(
            ValueLayout.JAVA_LONG.withName("sa_handler"),
            MemoryLayout.sequenceLayout(SIGSET_BYTES, ValueLayout.JAVA_BYTE).withName("sa_mask"),
            ValueLayout.JAVA_INT.withName("sa_flags"),
            MemoryLayout.paddingLayout(4),
            ValueLayout.JAVA_LONG.withName("sa_restorer"));

    private static final long SA_HANDLER = SIGACTION.byteOffset(PathElement.groupElement("sa_handler"));

    private static final int PROCESS = (int) ProcessHandle.current().pid();
    private static final ThreadLocal<Receiver> RECEIVER = ThreadLocal.withInitial(Receiver::new);

    /** Number of the signal once its handler is installed, 0 before. */
    private static volatile int signal;

    private KickSignal() {}

    /** What a platform thread needs to be only once: known by its number, and open to the signal. */
    private static final class Receiver {
        final int thread = prepare();
    }

    /**
     * Installs the handler, once in this process.
     *
     * @throws HypervisorUnavailableException if another library has taken the signal, or the property names one that can't be used
     * @throws KvmException if the host refuses
     */
    public static synchronized void install() {
        if (signal != 0) {
            return;
        }
        int number = configured();
        MemorySegment handler = NativeAccess.address("abs");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment old = arena.allocate(SIGACTION);
            check(Libc.sigaction(number, MemorySegment.NULL, old), number);
            long present = old.get(ValueLayout.JAVA_LONG, SA_HANDLER);
            // Signals without a handler end the process (0) or are dropped (1): nobody waits for them.
            if (Long.compareUnsigned(present, SIG_IGN) > 0 && present != handler.address()) {
                throw new HypervisorUnavailableException("signal " + number
                        + ", with which vCPUs are interrupted, has a handler of another library; choose a free one from "
                        + FIRST_REAL_TIME + " to " + LAST_REAL_TIME + " with -D" + PROPERTY + "=NUMBER");
            }
            // Flags 0: without SA_RESTART the interrupted call returns.
            MemorySegment action = arena.allocate(SIGACTION);
            action.set(ValueLayout.JAVA_LONG, SA_HANDLER, handler.address());
            check(Libc.sigaction(number, action, MemorySegment.NULL), number);
        }
        signal = number;
    }

    /**
     * Sends the signal.
     *
     * @param thread number of a thread of this process, from {@link #receiver()}
     */
    public static void send(int thread) {
        // Fails only if the thread is gone, and then there is nothing to interrupt.
        Libc.tgkill(PROCESS, thread, signal);
    }

    /**
     * Makes the calling thread one that can be interrupted.
     *
     * @return the number of the thread that a virtual thread is on now, or of the platform thread
     */
    public static int receiver() {
        return Thread.currentThread().isVirtual() ? prepare() : RECEIVER.get().thread;
    }

    /** A thread may have inherited a mask that blocks the signal; then it would not end the call. */
    private static int prepare() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment set = arena.allocate(SIGSET_BYTES, Long.BYTES);
            // Bit 0 is signal 1.
            set.setAtIndex(ValueLayout.JAVA_LONG, 0, 1L << (signal - 1));
            check(Libc.sigprocmask(SIG_UNBLOCK, set, MemorySegment.NULL), signal);
        }
        return Libc.gettid();
    }

    private static int configured() {
        String text = System.getProperty(PROPERTY, Integer.toString(DEFAULT));
        int number;
        try {
            number = Integer.parseInt(text);
        } catch (NumberFormatException notANumber) {
            number = -1;
        }
        if (number < FIRST_REAL_TIME || number > LAST_REAL_TIME || number == JVM_SUSPEND) {
            throw new HypervisorUnavailableException("system property " + PROPERTY + " is '" + text
                    + "'; it must be the number of a signal from " + FIRST_REAL_TIME + " to " + LAST_REAL_TIME
                    + ", not " + JVM_SUSPEND + ", which the JVM uses");
        }
        return number;
    }

    private static void check(int result, int number) {
        if (result < 0) {
            throw KvmException.of("sigaction", "signal " + number, -result);
        }
    }
}
