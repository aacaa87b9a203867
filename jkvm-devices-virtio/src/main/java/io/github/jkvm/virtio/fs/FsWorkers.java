package io.github.jkvm.virtio.fs;

import java.lang.foreign.Arena;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
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
    private final Work server;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition work = lock.newCondition();
    private final Condition performed = lock.newCondition();

    // What follows is guarded by the lock.
    private final Deque<FsRequest> waiting = new ArrayDeque<>();
    private final List<FsRequest> running = new ArrayList<>();
    private final List<Thread> threads = new ArrayList<>();
    private int idle;
    private boolean closed;

    FsWorkers(String name, int most, Work server) {
        this.name = name;
        this.most = most;
        this.server = server;
    }

    void submit(FsRequest request) {
        lock.lock();
        try {
            waiting.add(request);
            if (idle < waiting.size() && threads.size() < most && !closed) {
                threads.add(Thread.ofPlatform()
                        .daemon()
                        .name("jkvm " + name + " " + threads.size())
                        .start(this::run));
            }
            work.signal();
        } finally {
            lock.unlock();
        }
    }

    private void run() {
        // Freed with the thread.
        var exchange = new FuseExchange(Arena.ofAuto());
        FsRequest request = next(null);
        while (request != null) {
            server.perform(request, exchange);
            request = next(request);
        }
    }

    /** Hands a performed request in and takes another one; null if there will be none. */
    private @Nullable FsRequest next(@Nullable FsRequest last) {
        lock.lock();
        try {
            if (last != null) {
                running.remove(last);
                performed.signalAll();
            }
            while (waiting.isEmpty() && !closed) {
                idle++;
                work.awaitUninterruptibly();
                idle--;
            }
            FsRequest request = waiting.poll();
            if (request != null) {
                running.add(request);
            }
            return request;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Gives up requests that are not begun, and waits for those that are.
     *
     * @param which the requests
     * @return those that were given up
     */
    List<FsRequest> stop(Predicate<FsRequest> which) {
        List<FsRequest> dropped = new ArrayList<>();
        lock.lock();
        try {
            waiting.removeIf(request -> which.test(request) && dropped.add(request));
            awaitUntil(() -> running.stream().noneMatch(which));
        } finally {
            lock.unlock();
        }
        return dropped;
    }

    /** Waits until all requests are performed. */
    void awaitIdle() {
        lock.lock();
        try {
            awaitUntil(() -> waiting.isEmpty() && running.isEmpty());
        } finally {
            lock.unlock();
        }
    }

    /** Guest memory is given up after this, and must not be in use by then: nothing interrupts it. Under the lock. */
    private void awaitUntil(BooleanSupplier condition) {
        while (!condition.getAsBoolean()) {
            performed.awaitUninterruptibly();
        }
    }

    /** Performs what is there and ends the threads. Closing twice does nothing. */
    @Override
    public void close() {
        List<Thread> ending;
        lock.lock();
        try {
            closed = true;
            work.signalAll();
            ending = List.copyOf(threads);
        } finally {
            lock.unlock();
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
