package io.github.jkvm.virtio.queue;

import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.DriverQueue;
import io.github.jkvm.testkit.virtio.Used;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** Any interleaving of what driver and device do loses no chain, makes none up, and leaves nobody waiting. */
class QueueInterleavingTest {
    private enum Action {
        ADD,
        ADD_INDIRECT,
        KICK,
        POP,
        COMPLETE_OLDEST,
        COMPLETE_NEWEST,
        PUT_BACK,
        INTERRUPT,
        TAKE_USED,
        SAVE_AND_RESTORE
    }

    /** A driver and a device that sleep when they find nothing to do, and wake only when told. */
    private static final class Run {
        private final GuestMemory memory = TestQueue.memory();
        private final DriverQueue driver;
        private final Deque<Integer> available = new ArrayDeque<>();
        private final Map<Integer, Long> completed = new HashMap<>();
        private final Deque<DescriptorChain> inFlight = new ArrayDeque<>();
        private final Set<QueueFeature> features;
        private VirtQueue queue;
        private boolean newestIsLastPopped;
        private boolean deviceSleeps;
        private boolean driverSleeps;
        private long added;
        private long taken;

        /** Both stand at a position of the rings, as if the queue had been in use for long. */
        Run(int size, Set<QueueFeature> features, int start) {
            this.features = features;
            QueueLayout layout = TestQueue.layout(size);
            driver = TestQueue.of(RingFormat.of(features), memory, layout, features);
            driver.startAt(start);
            queue = new VirtQueue(memory, 64);
            assertThat(queue.activate(layout, features)).isEmpty();
            var state = new DeviceState(1);
            queue.save(state, "q");
            state.putNumber("q.position", start);
            queue.restore(state, "q");
        }

        void act(int seed) {
            Action[] actions = Action.values();
            int argument = seed / actions.length;
            switch (actions[seed % actions.length]) {
                case ADD -> add(argument, false);
                case ADD_INDIRECT -> add(argument, true);
                case KICK -> kick();
                case POP -> pop();
                case COMPLETE_OLDEST -> complete(inFlight.pollFirst(), argument);
                case COMPLETE_NEWEST -> {
                    complete(inFlight.pollLast(), argument);
                    newestIsLastPopped = false;
                }
                case PUT_BACK -> putBack();
                case INTERRUPT -> interrupt();
                case TAKE_USED -> takeUsed();
                case SAVE_AND_RESTORE -> saveAndRestore();
            }
        }

        private void add(int argument, boolean indirect) {
            int buffers = 1 + argument % 4;
            boolean possible = !indirect || features.contains(QueueFeature.INDIRECT_DESCRIPTORS);
            if (!possible || driver.freeDescriptors() < buffers) {
                return;
            }
            var chain = new Buffer[buffers];
            int readable = argument / 4 % (buffers + 1);
            for (int i = 0; i < buffers; i++) {
                chain[i] = i < readable ? Buffer.readable(BUFFERS, 8) : Buffer.writable(BUFFERS + 64, 8);
            }
            available.add(indirect ? driver.addIndirect(chain) : driver.add(chain));
            added++;
        }

        private void kick() {
            if (driver.kickNeeded()) {
                deviceSleeps = false;
                queue.disableNotifications();
            }
        }

        private void pop() {
            if (deviceSleeps) {
                return;
            }
            var chain = new DescriptorChain();
            if (queue.pop(chain) == PopResult.CHAIN) {
                assertThat(chain.head()).isEqualTo(available.poll());
                inFlight.add(chain);
                newestIsLastPopped = true;
            } else {
                assertThat(queue.fault()).isEmpty();
                assertThat(available).isEmpty();
                deviceSleeps = !queue.enableNotifications();
            }
        }

        private void complete(DescriptorChain chain, int argument) {
            if (chain == null) {
                return;
            }
            long written = chain.writableBytes() == 0 ? 0 : argument % (chain.writableBytes() + 1);
            completed.put(chain.head(), written);
            assertThat(queue.complete(chain, written)).isTrue();
        }

        private void putBack() {
            if (!inFlight.isEmpty() && newestIsLastPopped) {
                DescriptorChain chain = inFlight.removeLast();
                available.addFirst(chain.head());
                queue.putBack(chain);
                newestIsLastPopped = false;
                // Nobody will tell the device of it.
                deviceSleeps = false;
            }
        }

        private void interrupt() {
            if (queue.interruptNeeded()) {
                driverSleeps = false;
                driver.disableInterrupts();
            }
        }

        private void takeUsed() {
            if (driverSleeps) {
                return;
            }
            Optional<Used> used = driver.takeUsed();
            if (used.isPresent()) {
                assertThat(completed.remove(used.get().id()))
                        .isEqualTo(used.get().length());
                taken++;
            } else {
                assertThat(completed.isEmpty() || (features.contains(QueueFeature.IN_ORDER) && !inFlight.isEmpty()))
                        .isTrue();
                driverSleeps = !driver.enableInterrupts();
            }
        }

        private void saveAndRestore() {
            if (!inFlight.isEmpty()) {
                return;
            }
            var state = new DeviceState(1);
            queue.save(state, "q");
            queue = new VirtQueue(memory, 64);
            queue.restore(DeviceState.decode(state.encode()), "q");
        }

        /** Both sides do what they were told to, and no more; all chains must come home. */
        void finish() {
            for (int round = 0; taken < added; round++) {
                assertThat(round)
                        .as("rounds until %s of %s chains were back", taken, added)
                        .isLessThan(1000);
                kick();
                pop();
                complete(inFlight.pollFirst(), 0);
                interrupt();
                takeUsed();
            }
            assertThat(available).isEmpty();
            assertThat(completed).isEmpty();
            assertThat(driver.takeUsed()).isEmpty();
            assertThat(queue.chainsInFlight()).isZero();
        }
    }

    @Property(tries = 3000)
    void losesAndDuplicatesNothing(
            @ForAll RingFormat format,
            @ForAll @IntRange(min = 4, max = 64) int size,
            @ForAll Set<QueueFeature> more,
            @ForAll @IntRange(min = 65_400, max = 65_535) int start,
            @ForAll @Size(max = 400) List<@IntRange(max = 10 * 64) Integer> actions) {
        Set<QueueFeature> features = TestQueue.features(format, more.toArray(QueueFeature[]::new));
        var run = RingFormat.of(features) == RingFormat.PACKED
                ? new Run(size, features, (start % size) | ((start << 15) & 0x8000))
                : new Run(Integer.highestOneBit(size), features, start);
        for (int action : actions) {
            run.act(action);
        }
        run.finish();
    }
}
