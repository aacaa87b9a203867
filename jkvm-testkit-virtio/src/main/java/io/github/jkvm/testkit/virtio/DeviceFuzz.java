package io.github.jkvm.testkit.virtio;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.Device;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.MemoryRegion;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Drives a device as a hostile guest does, most of the time by the rules: well-formed requests with now and then a part that is wrong, rings
 * with bytes that were changed, registers and configuration space written at random, resets, time that passes.
 *
 * <p>What must hold, whatever the guest does: nothing is thrown, each case comes to an end within a time, and allocates no more than a limit on the
 * thread of the device; a guest that resets the device can use it again; and what {@link FuzzedDevice} says.
 *
 * <pre>{@code
 * @Test
 * void survivesAnyGuest() {
 *     DeviceFuzz.of(() -> new VirtioMmio(new Echo()), (choices, queue) -> Chain.of()
 *                     .readable(choices.bytes(100))
 *                     .writable(choices.below(100)))
 *             .cases(5_000)
 *             .run();
 * }
 * }</pre>
 *
 * <p>A case is one to four requests with what goes on around them. The same seed gives the same cases; a failure names the seed that repeats it
 * within 500 cases. The system properties {@code jkvm.fuzz.cases} and {@code jkvm.fuzz.seed} go before what the code says, so that a long run
 * or the repetition of a failure needs no change of code. Immutable.
 */
public final class DeviceFuzz {
    /** System property: how many cases {@link #run()} runs. */
    public static final String CASES_PROPERTY = "jkvm.fuzz.cases";

    /** System property: the seed that {@link #run()} begins with. */
    public static final String SEED_PROPERTY = "jkvm.fuzz.seed";

    private static final long DEFAULT_CASES = 5_000;
    private static final long DEFAULT_SEED = 0x6A6B_766DL;

    /** The first case loads classes. */
    private static final long DEFAULT_ALLOCATION_LIMIT = 32 << 20;

    private static final Duration DEFAULT_TIME_LIMIT = Duration.ofSeconds(30);

    /** Cases run by one device before another one is made, so that a seed is soon repeated. */
    private static final int CASES_OF_SEED = 500;

    private static final Duration LOOK = Duration.ofMillis(50);
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private final Function<Choices, FuzzedDevice> devices;
    private final Requests requests;
    private Supplier<MemoryRegion> memory = () -> MemoryRegion.onHeap(GuestAddress.ZERO, VirtioDriver.MEMORY_BYTES);
    private long cases = DEFAULT_CASES;
    private long seed = DEFAULT_SEED;
    private long allocationLimit = DEFAULT_ALLOCATION_LIMIT;
    private Duration timeLimit = DEFAULT_TIME_LIMIT;

    /** Makes requests that the device understands, most of the time. */
    @FunctionalInterface
    public interface Requests {
        /**
         * Makes one request. What is wrong with chains as such is not for it to do.
         *
         * @param choices where decisions come from
         * @param queue index of the queue that it is for
         * @return the request; one with no parts is not sent
         */
        Chain make(Choices choices, int queue);
    }

    private DeviceFuzz(Function<Choices, FuzzedDevice> devices, Requests requests) {
        this.devices = devices;
        this.requests = requests;
    }

    private DeviceFuzz copy() {
        var copy = new DeviceFuzz(devices, requests);
        copy.memory = memory;
        copy.cases = cases;
        copy.seed = seed;
        copy.allocationLimit = allocationLimit;
        copy.timeLimit = timeLimit;
        return copy;
    }

    /**
     * Prepares to fuzz devices of a kind.
     *
     * @param devices makes a device in its transport, again and again
     * @param requests makes requests for it
     * @return what fuzzes them
     */
    public static DeviceFuzz of(Supplier<? extends Device> devices, Requests requests) {
        return ofDevices(choices -> new FuzzedDevice(devices.get(), () -> {}), requests);
    }

    /**
     * Prepares to fuzz devices that have choices to make of their own, or more that must hold.
     *
     * @param devices makes a device, again and again
     * @param requests makes requests for it
     * @return what fuzzes them
     */
    public static DeviceFuzz ofDevices(Function<Choices, FuzzedDevice> devices, Requests requests) {
        return new DeviceFuzz(devices, requests);
    }

    /**
     * Sets how many cases are run; 5,000 unless said otherwise.
     *
     * @param count the number
     * @return the same with that number
     */
    public DeviceFuzz cases(long count) {
        DeviceFuzz copy = copy();
        copy.cases = count;
        return copy;
    }

    /**
     * Sets what the random numbers begin with.
     *
     * @param first the seed of the first 500 cases; the others have those that follow it
     * @return the same with that seed
     */
    public DeviceFuzz seed(long first) {
        DeviceFuzz copy = copy();
        copy.seed = first;
        return copy;
    }

    /**
     * Sets how much a case may allocate; 32 MiB unless said otherwise.
     *
     * @param bytes the most bytes that the device's thread may allocate
     * @return the same with that limit
     */
    public DeviceFuzz allocationLimit(long bytes) {
        DeviceFuzz copy = copy();
        copy.allocationLimit = bytes;
        return copy;
    }

    /**
     * Sets how long a case may take; 30 s unless said otherwise.
     *
     * @param limit the longest time, after which the device hangs
     * @return the same with that limit
     */
    public DeviceFuzz timeLimit(Duration limit) {
        DeviceFuzz copy = copy();
        copy.timeLimit = limit;
        return copy;
    }

    /**
     * Sets what memory guests have; some on the heap unless said otherwise.
     *
     * @param regions makes {@link VirtioDriver#MEMORY_BYTES} at address 0
     * @return the same with that memory
     */
    public DeviceFuzz memory(Supplier<MemoryRegion> regions) {
        DeviceFuzz copy = copy();
        copy.memory = regions;
        return copy;
    }

    /**
     * Runs the cases, on a thread of its own.
     *
     * @throws AssertionError if something does not hold; the text says how to repeat it
     */
    public void run() {
        long count = Long.getLong(CASES_PROPERTY, cases);
        long first = Long.getLong(SEED_PROPERTY, seed);
        var run = new Run(count, first);
        Thread thread = new Thread(run, "device-fuzz");
        thread.setDaemon(true);
        thread.setContextClassLoader(Thread.currentThread().getContextClassLoader());
        thread.start();
        try {
            while (!thread.join(LOOK)) {
                if (System.nanoTime() - run.caseStarted > timeLimit.toNanos()) {
                    var hang = new AssertionError("a case has not come to an end within " + timeLimit.toSeconds()
                            + " s; this is where its thread is");
                    hang.setStackTrace(thread.getStackTrace());
                    // It may go on for ever; it may also listen to this.
                    thread.interrupt();
                    throw repeatable(run.seedNow, hang);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted while fuzzing", e);
        }
        Throwable failure = run.failure;
        if (failure != null) {
            throw repeatable(run.seedNow, failure);
        }
    }

    private static AssertionError repeatable(long seed, Throwable failure) {
        return new AssertionError(
                "fuzzing failed; repeat with -D" + CASES_PROPERTY + "=" + CASES_OF_SEED + " -D" + SEED_PROPERTY + "="
                        + seed + ", or .cases(" + CASES_OF_SEED + ").seed(" + seed + "): " + failure,
                failure);
    }

    /** The cases of one call, on their thread. */
    private final class Run implements Runnable {
        private final long count;
        private volatile long seedNow;
        private volatile long caseStarted = System.nanoTime();
        private volatile @Nullable Throwable failure;

        Run(long count, long first) {
            this.count = count;
            seedNow = first;
        }

        @Override
        public void run() {
            long begin = seedNow;
            try {
                for (long done = 0; done < count; done += CASES_OF_SEED) {
                    seedNow = begin + done / CASES_OF_SEED;
                    runCases(
                            Choices.random(seedNow),
                            (int) Math.min(CASES_OF_SEED, count - done),
                            allocationLimit,
                            () -> caseStarted = System.nanoTime());
                }
            } catch (Throwable t) {
                failure = t;
            }
        }
    }

    /**
     * Runs cases on one device, on the calling thread and with no limit of time or memory: for fuzzers that choose themselves, and watch over
     * both.
     *
     * @param choices where all decisions come from
     * @param count how many cases
     * @throws AssertionError if something does not hold
     */
    public void run(Choices choices, int count) {
        runCases(choices, count, Long.MAX_VALUE, () -> {});
    }

    private void runCases(Choices choices, int count, long limit, Runnable caseBegins) {
        caseBegins.run();
        FuzzedDevice fuzzed = devices.apply(choices);
        try (VirtioDriver driver = VirtioDriver.attach(fuzzed.device(), memory.get())) {
            driver.start();
            var session = new FuzzSession(driver, choices, requests);
            for (int i = 0; i < count; i++) {
                caseBegins.run();
                long before = THREADS.getCurrentThreadAllocatedBytes();
                session.runCase();
                long allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
                if (allocated > limit) {
                    throw new AssertionError("case " + i + " allocated " + allocated + " bytes; the limit is " + limit);
                }
                fuzzed.check().run();
            }
        }
    }
}
