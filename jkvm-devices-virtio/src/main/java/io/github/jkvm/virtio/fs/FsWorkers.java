package io.github.jkvm.virtio.fs;

import java.lang.foreign.Arena;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The threads of one device that serve its requests, which the host's disks can delay. Threads are started as there is work for them, and
 * end when this is closed. Safe for use by many threads.
 */
final class FsWorkers implements AutoCloseable {
    /** What is done with a request. It must not throw. */
    interface Work {
        void perform(FsRequest request, FuseExchange exchange);
    }

    private final String name;
    private final int most;
    private final Work work;
    private final Deque<FsRequest> waiting = new ArrayDeque<>();
    private final List<FsRequest> running = new ArrayList<>();
    private final List<Thread> threads = new ArrayList<>();
    private int idle;
    private boolean closed;

    FsWorkers(String name, int most, Work work) {
        this.name = name;
        this.most = most;
        this.work = work;
    }

    synchronized void submit(FsRequest request) {
        waiting.add(request);
        if (idle < waiting.size() && threads.size() < most && !closed) {
            threads.add(Thread.ofPlatform()
                    .daemon()
                    .name("jkvm " + name + " " + threads.size())
                    .start(this::run));
        }
        notifyAll();
    }

    private void run() {
        // Freed with the thread.
        var exchange = new FuseExchange(Arena.ofAuto());
        FsRequest request = next(null);
        while (request != null) {
            work.perform(request, exchange);
            request = next(request);
        }
    }

    /** Hands a performed request in and takes another one; null if there will be none. */
    private synchronized @Nullable FsRequest next(@Nullable FsRequest performed) {
        if (performed != null) {
            running.remove(performed);
            notifyAll();
        }
        while (waiting.isEmpty() && !closed) {
            idle++;
            try {
                wait();
            } catch (InterruptedException e) {
                // Nobody has a reason to interrupt a worker: it ends when it is told to.
            }
            idle--;
        }
        FsRequest request = waiting.poll();
        if (request != null) {
            running.add(request);
        }
        return request;
    }

    /**
     * Gives up requests that are not begun, and waits for those that are.
     *
     * @param which the requests
     * @return those that were given up
     */
    synchronized List<FsRequest> stop(Predicate<FsRequest> which) {
        List<FsRequest> dropped = new ArrayList<>();
        waiting.removeIf(request -> which.test(request) && dropped.add(request));
        awaitUntil(() -> running.stream().noneMatch(which));
        return dropped;
    }

    /** Waits until all requests are performed. */
    synchronized void awaitIdle() {
        awaitUntil(() -> waiting.isEmpty() && running.isEmpty());
    }

    private interface Condition {
        boolean holds();
    }

    private synchronized void awaitUntil(Condition condition) {
        boolean interrupted = false;
        while (!condition.holds()) {
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

    /** Performs what is there and ends the threads. Closing twice does nothing. */
    @Override
    public void close() {
        List<Thread> ending;
        synchronized (this) {
            closed = true;
            notifyAll();
            ending = List.copyOf(threads);
        }
        boolean interrupted = false;
        for (Thread thread : ending) {
            while (thread.isAlive()) {
                try {
                    thread.join();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
