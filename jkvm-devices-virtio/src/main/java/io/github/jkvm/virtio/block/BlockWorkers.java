package io.github.jkvm.virtio.block;

import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * The threads of one device that wait for its image, and the requests they have executed. Threads are started when there is work, and end after a
 * while without.
 */
final class BlockWorkers implements AutoCloseable {
    private static final long IDLE_SECONDS = 10;

    private final ThreadPoolExecutor threads;
    private final ArrayBlockingQueue<BlockRequest> done;

    /** Whether the loop was told that there are requests in {@link #done}. */
    private final AtomicBoolean told = new AtomicBoolean();

    /** Requests that were submitted and are not in {@link #done}. Guarded by this object. */
    private int busy;

    /** Creates threads to come: {@code most} at a time, for up to {@code requests} at a time. */
    BlockWorkers(String name, int most, int requests) {
        done = new ArrayBlockingQueue<>(requests);
        threads = new ThreadPoolExecutor(
                most,
                most,
                IDLE_SECONDS,
                TimeUnit.SECONDS,
                new ArrayBlockingQueue<>(requests),
                Thread.ofPlatform().daemon().name("jkvm " + name + " ", 0).factory());
        threads.allowCoreThreadTimeOut(true);
    }

    void submit(BlockRequest request) {
        synchronized (this) {
            busy++;
        }
        threads.execute(request);
    }

    /** Takes an executed request; true if the loop has to be told. Called by a worker. */
    boolean done(BlockRequest request) {
        done.add(request);
        boolean tell = told.compareAndSet(false, true);
        synchronized (this) {
            busy--;
            if (busy == 0) {
                notifyAll();
            }
        }
        return tell;
    }

    /** The loop comes for executed requests: it wants to be told of those that come later. */
    void takingDone() {
        told.set(false);
    }

    @Nullable
    BlockRequest pollDone() {
        return done.poll();
    }

    /** Forgets executed requests, whose chains the driver has taken back. */
    void forgetDone() {
        done.clear();
    }

    /** Waits until all requests are executed, which the image alone can delay. */
    synchronized void awaitIdle() {
        boolean interrupted = false;
        while (busy != 0) {
            try {
                wait();
            } catch (InterruptedException e) {
                // Guest memory is given up after this, and must not be in use by then.
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Waits until all requests are executed and lets the threads end. Closing twice does nothing. */
    @Override
    public void close() {
        awaitIdle();
        threads.shutdown();
    }
}
