package io.github.jkvm.benchmarks;

import io.github.jkvm.virtio.queue.DescriptorChain;
import io.github.jkvm.virtio.queue.PopResult;
import io.github.jkvm.virtio.queue.RingFormat;
import io.github.jkvm.virtio.queue.VirtQueue;
import java.lang.foreign.Arena;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** What a chain costs a device that takes it, checks all of it and gives it back: the queue engine alone, without data. */
@State(Scope.Thread)
@SuppressWarnings("NullAway.Init") // JMH calls start() first.
public class QueueCosts {
    /** The format of the rings, a name of {@link RingFormat}. */
    @Param({"SPLIT", "PACKED"})
    public String format;

    /** How chains are made, a name of {@link QueueGuest.Shape}. */
    @Param({"ONE", "EIGHT", "INDIRECT_EIGHT"})
    public String shape;

    private final Arena arena = Arena.ofShared();
    private final DescriptorChain chain = new DescriptorChain();
    private QueueGuest guest;
    private VirtQueue queue;

    /** Makes guest and queue. */
    @Setup
    public void start() {
        guest = new QueueGuest(arena, RingFormat.valueOf(format), QueueGuest.Shape.valueOf(shape));
        queue = new VirtQueue(guest.memory(), guest.layout().size());
        queue.activate(guest.layout(), guest.features()).ifPresent(fault -> {
            throw new IllegalStateException(fault.toString());
        });
    }

    /** Gives the memory back. */
    @TearDown
    public void stop() {
        arena.close();
    }

    /** Serves a batch of chains as devices do. */
    @Benchmark
    @OperationsPerInvocation(QueueGuest.BATCH)
    public boolean serve() {
        guest.offer();
        int served = 0;
        do {
            queue.disableNotifications();
            while (queue.pop(chain) == PopResult.CHAIN) {
                queue.complete(chain, chain.writableBytes());
                served++;
            }
        } while (queue.enableNotifications());
        if (served != QueueGuest.BATCH) {
            throw new IllegalStateException(served + " chains served, " + queue);
        }
        return queue.interruptNeeded();
    }
}
