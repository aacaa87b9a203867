package io.github.jkvm.virtio.balloon;

import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * Asks the guest for statistics (virtio 1.2, 5.5.6.3). The driver leaves a buffer with numbers; the device keeps it, and gives it back to ask for
 * new ones. Used on the loop.
 */
final class StatisticsQueue {
    /** {@code struct virtio_balloon_stat}: a tag of 2 bytes and a value of 8, with nothing between. */
    private static final int ENTRY = Short.BYTES + Long.BYTES;

    /** More than there are tags. The driver decides how long its buffer is, and not how much is kept of it. */
    private static final int MOST_ENTRIES = 64;

    /** "The driver MUST make at most one buffer available": one that does otherwise can't keep the loop busy. */
    private static final int MOST_BUFFERS = 16;

    private final Counter answers;
    private final List<CompletableFuture<Optional<MemoryStatistics>>> waiting = new ArrayList<>();
    private DescriptorChain kept = new DescriptorChain();
    private DescriptorChain next = new DescriptorChain();
    private boolean keeping;
    private boolean asked;

    StatisticsQueue(Counter answers) {
        this.answers = answers;
    }

    /** Has the guest tell new numbers. The answer is empty if the driver goes away. */
    void ask(DeviceQueue queue, CompletableFuture<Optional<MemoryStatistics>> answer) {
        waiting.removeIf(CompletableFuture::isDone);
        waiting.add(answer);
        notified(queue);
    }

    /** Takes what the driver has left, and asks for more if somebody waits for it. */
    void notified(DeviceQueue queue) {
        int left = MOST_BUFFERS;
        boolean more;
        do {
            queue.disableNotifications();
            while (left > 0 && queue.pop(next)) {
                left--;
                take(queue);
            }
            more = queue.enableNotifications();
        } while (more && left > 0);
        if (!waiting.isEmpty() && keeping && !asked) {
            asked = true;
            keeping = false;
            queue.complete(kept, 0);
        }
        queue.interrupt();
        if (more) {
            queue.notifyLater();
        }
    }

    private void take(DeviceQueue queue) {
        if (keeping) {
            queue.complete(kept, 0);
        }
        DescriptorChain taken = next;
        next = kept;
        kept = taken;
        keeping = true;
        if (asked) {
            asked = false;
            answers.increment();
            answer(Optional.of(read(kept.reader())));
        }
    }

    private static MemoryStatistics read(ChainReader reader) {
        Map<Integer, Long> values = new HashMap<>();
        for (int i = 0; i < MOST_ENTRIES && reader.has(ENTRY); i++) {
            int tag = Short.toUnsignedInt(reader.nextShort());
            values.put(tag, reader.nextLong());
        }
        return new MemoryStatistics(values);
    }

    private void answer(Optional<MemoryStatistics> statistics) {
        waiting.forEach(future -> future.complete(statistics));
        waiting.clear();
    }

    /** Leaves the buffer to be found again. */
    void putBack(DeviceQueue queue) {
        if (keeping) {
            keeping = false;
            queue.putBack(kept);
        }
    }

    /** Forgets the buffer, as the queue is reset. */
    void stop() {
        keeping = false;
        asked = false;
        answer(Optional.empty());
    }
}
