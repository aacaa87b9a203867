package io.github.jkvm.virtio.net;

import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.RateLimiter;
import java.util.function.IntFunction;

/** The queues for frames, a receive and a transmit queue each pair (virtio 1.2, 5.1.2), and how many pairs the guest uses. */
final class QueuePairs {
    private final ReceiveQueue[] receive;
    private final TransmitQueue[] transmit;
    private int used = 1;

    /** Sets up pairs: queue {@code 2 i} receives and queue {@code 2 i + 1} transmits for pair i. */
    QueuePairs(
            NetDevice device,
            int count,
            int queueSize,
            IntFunction<DeviceQueue> queues,
            RateLimiter receiveLimit,
            RateLimiter transmitLimit,
            NetCounters counters) {
        receive = new ReceiveQueue[count];
        transmit = new TransmitQueue[count];
        for (int i = 0; i < count; i++) {
            receive[i] = new ReceiveQueue(device, queues.apply(2 * i), queueSize, i, receiveLimit, counters);
            transmit[i] = new TransmitQueue(device, queues.apply(2 * i + 1), i, transmitLimit, counters);
        }
    }

    int used() {
        return used;
    }

    /** Uses so many pairs from now on. Buffers of the others are given back. */
    void use(int count) {
        int before = used;
        used = count;
        for (int i = count; i < before; i++) {
            receive[i].putBack();
            transmit[i].stop();
        }
    }

    /** Serves a queue, if it is one of a pair. */
    void notified(int queue) {
        if (queue / 2 >= receive.length) {
            return;
        }
        if (queue % 2 == 0) {
            receive[queue / 2].pump();
        } else {
            transmit[queue / 2].pump();
        }
    }

    /** Stops a queue, if it is one of a pair. */
    void stop(int queue) {
        if (queue / 2 >= receive.length) {
            return;
        }
        if (queue % 2 == 0) {
            receive[queue / 2].stop();
        } else {
            transmit[queue / 2].stop();
        }
    }

    /** Stops all queues, and uses one pair next. */
    void stopAll() {
        for (int i = 0; i < receive.length; i++) {
            receive[i].stop();
            transmit[i].stop();
        }
        used = 1;
    }

    /** The backend has frames for a pair, or takes frames again. */
    void readable(int pair) {
        receive[pair].pump();
    }

    void writable(int pair) {
        transmit[pair].writable();
    }

    /** Moves what is there, in all pairs. */
    void pumpAll() {
        for (int i = 0; i < receive.length; i++) {
            receive[i].pump();
            transmit[i].pump();
        }
    }

    /** Gives back all buffers for frames that the guest has not got yet. */
    void putBackReceiveBuffers() {
        for (ReceiveQueue queue : receive) {
            queue.putBack();
        }
    }
}
