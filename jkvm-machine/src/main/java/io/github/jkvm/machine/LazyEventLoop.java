package io.github.jkvm.machine;

import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import io.github.jkvm.Vm;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/** The event loop of a machine, started when a device first asks for it. Closed with its VM. */
final class LazyEventLoop implements EventLoop {
    private final Vm vm;
    private final String name;
    private @Nullable EventLoop loop;

    LazyEventLoop(Vm vm, String name) {
        this.vm = vm;
        this.name = name;
    }

    private synchronized EventLoop loop() {
        EventLoop now = loop;
        if (now == null) {
            now = vm.createEventLoop(name);
            loop = now;
        }
        return now;
    }

    @Override
    public Registration onRing(Doorbell doorbell, Runnable action) {
        return loop().onRing(doorbell, action);
    }

    @Override
    public Registration onReady(EventSource source, IntConsumer action) {
        return loop().onReady(source, action);
    }

    @Override
    public Registration schedule(Duration delay, Runnable action) {
        return loop().schedule(delay, action);
    }

    @Override
    public void execute(Runnable action) {
        loop().execute(action);
    }

    @Override
    public synchronized boolean inLoop() {
        return loop != null && loop.inLoop();
    }

    /**
     * Runs code on the loop's thread, so that nothing else runs there meanwhile, and waits for it. While no loop was started, it runs on this thread.
     *
     * @throws IllegalStateException if the loop is closed
     */
    void runAlone(Runnable code) {
        EventLoop now;
        synchronized (this) {
            now = loop;
        }
        if (now == null || now.inLoop()) {
            code.run();
            return;
        }
        var task = new FutureTask<>(code, null);
        now.execute(task);
        boolean interrupted = false;
        while (true) {
            try {
                task.get();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            } catch (ExecutionException e) {
                if (e.getCause() instanceof Error error) {
                    throw error;
                }
                throw (RuntimeException) e.getCause();
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        EventLoop now;
        synchronized (this) {
            now = loop;
        }
        // Outside the lock, which the code that close() waits for may want.
        if (now != null) {
            now.close();
        }
    }
}
