package io.github.jkvm.virtio.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.GuestDriver;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.queue.RingFormat;
import io.github.jkvm.virtio.queue.TestBuffers;
import io.github.jkvm.virtio.queue.TestDriver;
import io.github.jkvm.virtio.queue.TestDriver.Buffer;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Drives a device as a hostile guest does, most of the time by the rules: well-formed requests with now and then a part that is wrong, rings
 * with bytes that were changed, registers and configuration space written at random, resets, time that passes.
 *
 * <p>What must hold, whatever the guest does: no code of the device throws (its counter {@code failures} stays 0), the device comes back within
 * a bound, and a case allocates no more than a limit. A guest that resets the device can use it again.
 *
 * <p>A case is one to four requests with what goes on around them. {@link #run} runs as many as the system property {@code jkvm.fuzz.cases}
 * says; a failure names the seed, which {@code jkvm.fuzz.seed} repeats.
 */
public final class DeviceFuzz {
    /** How many cases the tests run unless they are told otherwise. */
    private static final long CASES = Long.getLong("jkvm.fuzz.cases", 5_000);

    private static final long SEED = Long.getLong("jkvm.fuzz.seed", 0x6A6B_766DL);

    /** Cases run by one device before another one is made, so that a seed is soon repeated. */
    private static final int CASES_OF_SEED = 500;

    /** Most bytes that the loop's thread may allocate for one case. The first case loads classes. */
    private static final long ALLOCATION_LIMIT = 32 << 20;

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /** Makes requests that the device understands, most of the time. */
    @FunctionalInterface
    public interface Requests {
        /** Adds the buffers of one request to {@code chain}, readable ones first. */
        void make(Choices choices, int queue, TestBuffers buffers, List<Buffer> chain);
    }

    private final Function<Choices, ? extends VirtioDevice> devices;
    private final Requests requests;
    private final Supplier<MemoryRegion> memory;

    /** Prepares to fuzz devices of a kind. */
    public DeviceFuzz(Supplier<? extends VirtioDevice> devices, Requests requests) {
        this(
                choices -> devices.get(),
                requests,
                () -> MemoryRegion.onHeap(GuestAddress.ZERO, GuestDriver.MEMORY_BYTES));
    }

    /** Prepares to fuzz devices that have choices to make of their own, in guests with memory of {@link GuestDriver#MEMORY_BYTES} bytes. */
    public DeviceFuzz(
            Function<Choices, ? extends VirtioDevice> devices, Requests requests, Supplier<MemoryRegion> memory) {
        this.devices = devices;
        this.requests = requests;
        this.memory = memory;
    }

    /** Runs as many cases as the tests are told to. */
    public void run() {
        long seed = SEED;
        for (long done = 0; done < CASES; done += CASES_OF_SEED) {
            try {
                run(Choices.random(seed), (int) Math.min(CASES_OF_SEED, CASES - done), ALLOCATION_LIMIT);
            } catch (Throwable t) {
                throw new AssertionError(
                        "fuzzing failed; repeat with -Djkvm.fuzz.cases=" + CASES_OF_SEED + " -Djkvm.fuzz.seed=" + seed,
                        t);
            }
            seed++;
        }
    }

    /** Runs cases on one device, each of which may allocate so many bytes. */
    public void run(Choices choices, int cases, long allocationLimit) {
        VirtioDevice device = devices.apply(choices);
        var session = new Session(choices, device, choices.oneIn(2) ? RingFormat.PACKED : RingFormat.SPLIT);
        try {
            for (int i = 0; i < cases; i++) {
                long before = THREADS.getCurrentThreadAllocatedBytes();
                session.runCase();
                assertThat(THREADS.getCurrentThreadAllocatedBytes() - before)
                        .as("bytes allocated for one case")
                        .isLessThanOrEqualTo(allocationLimit);
                assertThat(device.counters())
                        .as("code of the device that threw")
                        .containsEntry("failures", 0L);
            }
        } finally {
            session.guest.close();
        }
    }

    /** One device and its guest. */
    private final class Session {
        final GuestDriver guest;
        private final Choices choices;
        private final int queues;

        /** Whether the rings were changed behind the driver's back, who then can't tell what is used. */
        private boolean corrupt;

        Session(Choices choices, VirtioDevice device, RingFormat format) {
            this.choices = choices;
            if (format == RingFormat.PACKED) {
                device.offerPackedRings();
            }
            guest = GuestDriver.attach(device, memory.get());
            guest.start(guest.offered());
            queues = guest.queues();
        }

        void runCase() {
            if (corrupt || guest.needsReset() || guest.freeDescriptors() < 16 || choices.oneIn(64)) {
                restart();
            }
            guest.buffers().clear();
            int count = 1 + choices.below(4);
            for (int i = 0; i < count && queues != 0; i++) {
                int queue = choices.below(queues);
                add(queue);
                disturb();
                guest.kick(choices.oneIn(16) ? choices.below(queues) : queue);
            }
            if (choices.oneIn(8)) {
                guest.loop().advance(Duration.ofMillis(choices.below(2_000)));
            }
            if (choices.oneIn(4)) {
                guest.loop().checkSources();
            }
            guest.run();
            if (!corrupt && !guest.needsReset()) {
                for (int queue = 0; queue < queues; queue++) {
                    drain(guest.queue(queue));
                }
            }
        }

        private void drain(TestDriver queue) {
            while (queue.takeUsed().isPresent()) {
                // What it says is the tests' of the device to check.
            }
        }

        private void restart() {
            long features = guest.offered();
            if (choices.oneIn(4)) {
                features &= ~Feature.deviceSpecific() | choices.number();
            }
            guest.negotiate(features);
            if ((guest.status() & 8) == 0) {
                features = guest.offered();
            }
            guest.start(features);
            corrupt = false;
        }

        private void add(int queue) {
            List<Buffer> chain = new ArrayList<>();
            requests.make(choices, queue, guest.buffers(), chain);
            if (choices.oneIn(8)) {
                spoil(chain);
            }
            if (chain.isEmpty()
                    || chain.size() > Math.min(16, guest.queue(queue).freeDescriptors())) {
                return;
            }
            Buffer[] buffers = chain.toArray(Buffer[]::new);
            if (choices.oneIn(3)) {
                guest.queue(queue).addIndirect(buffers);
            } else {
                guest.queue(queue).add(buffers);
            }
        }

        /** Breaks a request: a part missing, twice, elsewhere, longer, shorter or the other way round. */
        private void spoil(List<Buffer> chain) {
            if (chain.isEmpty()) {
                return;
            }
            int at = choices.below(chain.size());
            Buffer buffer = chain.get(at);
            switch (choices.below(6)) {
                case 0 -> chain.remove(at);
                case 1 -> chain.add(at, buffer);
                case 2 -> {
                    long address = choices.number();
                    chain.set(at, new Buffer(address, buffer.length(), buffer.flags()));
                    // The device may be told to write over a ring.
                    corrupt |= Long.compareUnsigned(address, GuestDriver.BUFFERS) < 0;
                }
                case 3 -> chain.set(at, new Buffer(buffer.address(), choices.number() & 0xFFFF_FFFFL, buffer.flags()));
                case 4 -> chain.set(at, new Buffer(buffer.address(), choices.below(64), buffer.flags()));
                default -> chain.set(at, new Buffer(buffer.address(), buffer.length(), buffer.flags() ^ 2));
            }
        }

        /** Does something a driver would not do, now and then. */
        private void disturb() {
            if (choices.oneIn(16)) {
                guest.config(choices.below(300), 1 << choices.below(4));
            }
            if (choices.oneIn(16)) {
                guest.setConfig(choices.below(300), 1 << choices.below(4), choices.number());
            }
            if (choices.oneIn(64)) {
                // Below the status register: features, queue registers and notifications of any value.
                guest.setRegister(choices.below(0x70 / 4) * 4, (int) choices.number());
            }
            if (choices.oneIn(64)) {
                int queue = choices.below(queues + 1);
                guest.setRegister(0x030, queue);
                guest.setRegister(choices.oneIn(2) ? 0x0C0 : 0x044, choices.below(2));
                corrupt = true;
            }
            if (choices.oneIn(64)) {
                // Bytes of the rings, and of requests under way.
                for (int i = choices.below(8); i >= 0; i--) {
                    guest.memory()
                            .writeByte(0x1_0000 + choices.below((queues + 1) * 0x1_0000), (byte) choices.below(256));
                }
                corrupt = true;
            }
        }
    }
}
