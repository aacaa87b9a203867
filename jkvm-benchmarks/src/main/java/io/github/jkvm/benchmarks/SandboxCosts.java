package io.github.jkvm.benchmarks;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.FunctionSandbox;
import io.github.jkvm.sandbox.FunctionSandboxBuilder;
import io.github.jkvm.sandbox.Isolation;
import java.io.IOException;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.Locale;

/** What calls of a function sandbox cost, and making one and restoring it: time beside C, and memory of the Java heap. */
final class SandboxCosts {
    /** Code of the C program's guest: {@code next: out 0x10, al; jmp next}. */
    static final String RINGS = "e610ebfc";

    private static final int COUNT = 500;
    private static final int WARM_UP = 50_000;
    private static final int FEW = 5;
    private static final int FEW_WARM_UP = 1_000;
    private static final int PROCESS_TURNS = 11;
    private static final String TEXT = "a short string";
    private static final byte[] BYTES = new byte[64];
    private static final MethodType NOTHING = MethodType.methodType(void.class);
    private static final MethodType ADD = MethodType.methodType(long.class, long.class, long.class);
    private static final MethodType ECHO = MethodType.methodType(String.class, String.class, byte[].class);
    private static final MethodType CALL_HOST = MethodType.methodType(void.class, int.class);
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private final Hypervisor hypervisor;
    private final byte[] guest;

    /**
     * Creates it.
     *
     * @param hypervisor where sandboxes run
     * @param guest sandbox-guest.c, compiled
     */
    SandboxCosts(Hypervisor hypervisor, Path guest) throws IOException {
        this.hypervisor = hypervisor;
        this.guest = Files.readAllBytes(guest);
    }

    void print(Peer peer) {
        Comparison.Side bareExit = count -> peer.measure("rings", RINGS, count);
        try (FunctionSandbox sandbox = builder().build()) {
            MethodHandle nothing = sandbox.function("nothing", NOTHING);
            MethodHandle add = sandbox.function("add", ADD);
            MethodHandle echo = sandbox.function("echo", ECHO);
            MethodHandle callHost = sandbox.function("call_host", CALL_HOST);
            new Comparison("sandbox.call", COUNT, WARM_UP).print(count -> repeat(count, () -> call(nothing)), bareExit);
            new Comparison("sandbox.call-add", COUNT, WARM_UP)
                    .print(count -> repeat(count, () -> checkSum((long) add.invokeExact(40L, 2L))), bareExit);
            new Comparison("sandbox.hostcall", COUNT, WARM_UP)
                    .print(count -> repeat(1, () -> call(callHost, count)), bareExit);
            new Comparison("sandbox.string", COUNT, WARM_UP)
                    .print(
                            count -> repeat(count, () -> checkEcho((String) echo.invokeExact(TEXT, BYTES))),
                            "call",
                            count -> repeat(count, () -> call(nothing)));
            printAllocation("sandbox.allocation", () -> checkSum((long) add.invokeExact(40L, 2L)));
            new Comparison("sandbox.call-after-restore", FEW, FEW_WARM_UP)
                    .print(
                            count -> repeat(count, () -> {
                                sandbox.restore();
                                call(nothing);
                            }),
                            "create",
                            count -> create(Isolation.VIRTUAL_MACHINE, count));
        }
        new Comparison("sandbox.create", FEW, FEW_WARM_UP)
                .print(
                        count -> create(Isolation.VIRTUAL_MACHINE, count),
                        count -> peer.measure("first-ring", RINGS, count));
        printProcess();
        System.out.printf(
                Locale.ROOT,
                "sandbox.exits c %.2f us at privilege level 3, %.2f us at level 0%n",
                Comparison.median(COUNT, bareExit),
                Comparison.median(COUNT, count -> peer.measure("system-rings", RINGS, count)));
    }

    /** The same in a process of its own. Beside that of this process. */
    private void printProcess() {
        try (FunctionSandbox here = builder().build();
                FunctionSandbox there = builder().isolation(Isolation.PROCESS).build()) {
            MethodHandle near = here.function("nothing", NOTHING);
            MethodHandle far = there.function("nothing", NOTHING);
            new Comparison("sandbox.process-call", COUNT, WARM_UP)
                    .print(count -> repeat(count, () -> call(far)), "call", count -> repeat(count, () -> call(near)));
        }
        new Comparison("sandbox.process-create", 1, 2, PROCESS_TURNS)
                .print(
                        count -> create(Isolation.PROCESS, count),
                        "create",
                        count -> create(Isolation.VIRTUAL_MACHINE, count));
    }

    private FunctionSandboxBuilder builder() {
        return FunctionSandbox.builder(hypervisor, guest)
                .hostFunction("host_nothing", MethodHandles.empty(MethodType.methodType(void.class)));
    }

    /** Makes sandboxes and calls each once. Closing is not part of it, as in C. */
    private long create(Isolation isolation, int count) {
        long nanos = 0;
        for (int i = 0; i < count; i++) {
            long start = System.nanoTime();
            try (FunctionSandbox sandbox = builder().isolation(isolation).build()) {
                call(sandbox.function("nothing", NOTHING));
                nanos += System.nanoTime() - start;
            } catch (Throwable failure) {
                throw failed(failure);
            }
        }
        return nanos;
    }

    /** What is measured. */
    private interface Work {
        void run() throws Throwable;
    }

    // As statements: the type of an expression is part of what invokeExact calls.
    private static void call(MethodHandle function) throws Throwable {
        function.invokeExact();
    }

    private static void call(MethodHandle function, int count) throws Throwable {
        function.invokeExact(count);
    }

    private static long repeat(int count, Work work) {
        try {
            long start = System.nanoTime();
            for (int i = 0; i < count; i++) {
                work.run();
            }
            return System.nanoTime() - start;
        } catch (Throwable failure) {
            throw failed(failure);
        }
    }

    private static IllegalStateException failed(Throwable failure) {
        return new IllegalStateException("a call of the sandbox failed", failure);
    }

    private static void checkSum(long sum) {
        if (sum != 42) {
            throw new IllegalStateException("the guest added 40 and 2 to " + sum);
        }
    }

    private static void checkEcho(String answer) {
        if (!answer.equals(TEXT)) {
            throw new IllegalStateException("the guest made '" + answer + "' of '" + TEXT + "'");
        }
    }

    /** What looking at the counter allocates is the same for few and for many: the difference is the calls'. */
    private static void printAllocation(String figure, Work work) {
        repeat(WARM_UP, work);
        long few = allocated(COUNT, work);
        long many = allocated(2 * COUNT, work);
        var format = new DecimalFormat("0.####", DecimalFormatSymbols.getInstance(Locale.ROOT));
        System.out.println(figure + " " + format.format((many - few) / (double) COUNT) + " bytes per call");
    }

    private static long allocated(int count, Work work) {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        repeat(count, work);
        return THREADS.getCurrentThreadAllocatedBytes() - before;
    }
}
