package io.github.jkvm.virtio.pmem;

import io.github.jkvm.EventLoop;
import java.lang.System.Logger.Level;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;

/** The thread of one device that waits for its disk: started when there is work, ended after a while without. */
final class FlushThread implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(FlushThread.class.getName());
    private static final long IDLE_SECONDS = 10;

    private final ThreadPoolExecutor executor;
    private boolean busy;
    private @Nullable Future<Integer> underWay;

    FlushThread(String device) {
        executor = new ThreadPoolExecutor(
                1,
                1,
                IDLE_SECONDS,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                Thread.ofPlatform().daemon().name("jkvm " + device + " flush").factory());
        executor.allowCoreThreadTimeOut(true);
    }

    /** Whether work is under way. For the loop. */
    boolean isBusy() {
        return busy;
    }

    /** Does work, and then has the loop take its result. For the loop, when not busy. */
    void run(IntSupplier work, EventLoop loop, IntConsumer taken) {
        busy = true;
        var task = new FutureTask<Integer>(work::getAsInt) {
            @Override
            protected void done() {
                try {
                    int result = resultNow();
                    loop.execute(() -> {
                        busy = false;
                        taken.accept(result);
                    });
                } catch (IllegalStateException closed) {
                    LOG.log(Level.DEBUG, "an event loop was closed during a flush");
                }
            }
        };
        underWay = task;
        try {
            executor.execute(task);
        } catch (RejectedExecutionException closed) {
            LOG.log(Level.DEBUG, "a device was closed before a flush");
        }
    }

    /** Waits for the work given last and returns its result; the loop takes it nevertheless. For the loop, when busy. */
    int await() {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return Objects.requireNonNull(underWay, "work").get();
                } catch (InterruptedException e) {
                    interrupted = true;
                } catch (ExecutionException e) {
                    throw new IllegalStateException("a flush failed", e.getCause());
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** Lets the work under way end, which only the disk can delay, and waits for it. Closing twice does nothing. */
    @Override
    public void close() {
        executor.shutdown();
        boolean interrupted = false;
        while (true) {
            try {
                if (executor.awaitTermination(1, TimeUnit.SECONDS)) {
                    break;
                }
            } catch (InterruptedException e) {
                // The file is given up after this, and must not be in use by then.
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
