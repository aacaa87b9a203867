package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.readable;
import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Set;
import java.util.concurrent.FutureTask;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A driver and a device on two threads, each asleep until the other says something: a lost notification would leave both asleep. */
class TwoThreadsTest {
    private static final int REQUESTS = 30_000;
    private static final long PATIENCE_SECONDS = 60;

    private final GuestMemory memory = TestQueue.memory();
    private final Semaphore doorbell = new Semaphore(0);
    private final Semaphore interrupt = new Semaphore(0);

    @ParameterizedTest
    @CsvSource({"SPLIT, flags", "SPLIT, event index", "PACKED, flags", "PACKED, event index"})
    void neverMissEachOther(RingFormat format, String suppression) throws Exception {
        Set<QueueFeature> features = suppression.equals("flags")
                ? TestQueue.features(format)
                : TestQueue.features(format, QueueFeature.EVENT_INDEX);
        QueueLayout layout = TestQueue.layout(4);
        var queue = new VirtQueue(memory, 4);
        queue.activate(layout, features);
        var driver = TestQueue.of(format, memory, layout, features);
        var device = new FutureTask<>(() -> serve(queue));
        Thread thread = Thread.ofPlatform().daemon().name("device").start(device);

        int sent = 0;
        int returned = 0;
        while (returned < REQUESTS) {
            while (sent < REQUESTS && driver.freeDescriptors() >= 2) {
                long slot = BUFFERS + 16L * (sent & 15);
                memory.writeInt(slot, sent);
                driver.add(readable(slot, 4), writable(slot + 8, 4));
                sent++;
            }
            if (driver.kickNeeded()) {
                doorbell.release();
            }
            driver.disableInterrupts();
            boolean any = false;
            while (driver.takeUsed().isPresent()) {
                // Chains come back in order, so the answer is to the request of this number.
                assertThat(memory.readInt(BUFFERS + 16L * (returned & 15) + 8)).isEqualTo(~returned);
                returned++;
                any = true;
            }
            if (!any && !driver.enableInterrupts()) {
                assertThat(interrupt.tryAcquire(PATIENCE_SECONDS, TimeUnit.SECONDS))
                        .as("an interrupt after %s of %s requests", returned, sent)
                        .isTrue();
            }
        }

        thread.interrupt();
        assertThat(device.get(PATIENCE_SECONDS, TimeUnit.SECONDS)).isEqualTo(REQUESTS);
        assertThat(queue.fault()).isEmpty();
    }

    /** What a device does for each notification, until it is interrupted; returns how many requests there were. */
    private int serve(VirtQueue queue) {
        var chain = new DescriptorChain();
        MemorySegment number = MemorySegment.ofArray(new int[1]);
        int served = 0;
        while (true) {
            try {
                doorbell.acquire();
            } catch (InterruptedException stop) {
                return served;
            }
            do {
                queue.disableNotifications();
                while (queue.pop(chain) == PopResult.CHAIN) {
                    chain.reader().readExactly(number);
                    number.setAtIndex(ValueLayout.JAVA_INT, 0, ~number.getAtIndex(ValueLayout.JAVA_INT, 0));
                    chain.writer().writeExactly(number);
                    queue.complete(chain, chain.writer().position());
                    served++;
                }
                if (queue.interruptNeeded()) {
                    interrupt.release();
                }
            } while (queue.enableNotifications());
        }
    }
}
