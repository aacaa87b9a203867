package io.github.jkvm.machine;

import io.github.jkvm.VCpu;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Whether a machine's vCPUs may run, and how the run ended. The threads of the vCPUs pass through {@link #enterGuest} each time they go into
 * the guest; everyone else asks for changes and has the vCPUs interrupted.
 *
 * <p>The first end counts; later ones change nothing. Safe for use by many threads.
 */
final class RunState {
    /** How long those who wait for the end wait for vCPUs that do not leave a device, such as one that writes to a pipe no one reads. */
    private static final Duration GRACE = Duration.ofSeconds(5);

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final List<VCpu> vcpus = new CopyOnWriteArrayList<>();
    private final Set<Thread> inGuest = new HashSet<>();
    private int alive;
    private boolean paused;
    private int holds;
    private final Set<Integer> halted = new HashSet<>();
    private @Nullable MachineExit exit;

    /** Adds a vCPU that is interrupted on every change. */
    void add(VCpu vcpu) {
        vcpus.add(vcpu);
    }

    /** Says that a number of threads will run vCPUs. */
    void expect(int threads) {
        lock.lock();
        try {
            alive = threads;
        } finally {
            lock.unlock();
        }
    }

    /** Waits while paused, then counts the calling thread as in the guest. Returns false if the run has ended. */
    boolean enterGuest() {
        lock.lock();
        try {
            while ((paused || holds > 0) && exit == null) {
                changed.awaitUninterruptibly();
            }
            if (exit != null) {
                return false;
            }
            inGuest.add(Thread.currentThread());
            return true;
        } finally {
            lock.unlock();
        }
    }

    void leaveGuest() {
        lock.lock();
        try {
            inGuest.remove(Thread.currentThread());
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Counts the calling thread as one that will not run its vCPU again. Returns how many are left. */
    int retire() {
        lock.lock();
        try {
            alive--;
            changed.signalAll();
            return alive;
        } finally {
            lock.unlock();
        }
    }

    void end(MachineExit how) {
        lock.lock();
        try {
            if (exit != null) {
                return;
            }
            exit = how;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        interrupt();
    }

    /** Stops the vCPUs and waits until all have, unless called by one of their threads, which stops after it returns. */
    void pause() {
        lock.lock();
        try {
            paused = true;
        } finally {
            lock.unlock();
        }
        interrupt();
        lock.lock();
        try {
            while (!inGuest.isEmpty() && !inGuest.contains(Thread.currentThread()) && paused && exit == null) {
                changed.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Stops the vCPUs and waits until all have, whatever {@link #resume} is called for meanwhile.
     *
     * @throws IllegalStateException if the run has ended, or this is a thread of a vCPU
     */
    void hold() {
        lock.lock();
        try {
            if (inGuest.contains(Thread.currentThread())) {
                throw new IllegalStateException(
                        "a device's code on a vCPU's thread can't take a snapshot, as that vCPU is amid an instruction; let another thread do it");
            }
            holds++;
        } finally {
            lock.unlock();
        }
        interrupt();
        lock.lock();
        try {
            while (!inGuest.isEmpty() && exit == null) {
                changed.awaitUninterruptibly();
            }
            if (exit != null) {
                holds--;
                throw new IllegalStateException("the machine has ended: " + exit + "; take the snapshot while it runs");
            }
        } finally {
            lock.unlock();
        }
    }

    /** Takes back one {@link #hold}. */
    void release() {
        lock.lock();
        try {
            holds--;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Notes that a vCPU has halted where nothing wakes it. */
    void noteHalted(int vcpuId) {
        lock.lock();
        try {
            halted.add(vcpuId);
        } finally {
            lock.unlock();
        }
    }

    boolean hasHalted(int vcpuId) {
        lock.lock();
        try {
            return halted.contains(vcpuId);
        } finally {
            lock.unlock();
        }
    }

    void resume() {
        lock.lock();
        try {
            paused = false;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    boolean isPaused() {
        lock.lock();
        try {
            return (paused || holds > 0) && exit == null;
        } finally {
            lock.unlock();
        }
    }

    @Nullable
    MachineExit exit() {
        lock.lock();
        try {
            return exit;
        } finally {
            lock.unlock();
        }
    }

    /** Waits for the end and for the vCPUs to have left the guest. Returns null if the time is over first; null waits for ever. */
    @Nullable
    MachineExit awaitExit(@Nullable Duration limit) throws InterruptedException {
        lock.lock();
        try {
            long nanos = limit == null ? Long.MAX_VALUE : TimeUnit.NANOSECONDS.convert(limit);
            while (exit == null) {
                if (nanos <= 0) {
                    return null;
                }
                nanos = changed.awaitNanos(nanos);
            }
            long grace = GRACE.toNanos();
            while (alive > 0 && grace > 0 && !inGuest.contains(Thread.currentThread())) {
                grace = changed.awaitNanos(grace);
            }
            return exit;
        } finally {
            lock.unlock();
        }
    }

    private void interrupt() {
        vcpus.forEach(VCpu::interrupt);
    }
}
