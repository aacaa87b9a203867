package io.github.jkvm.kvm;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The thread that ends runs whose time is over; one for each hypervisor, started when it is first needed.
 *
 * <p>Most runs end long before their deadline, so setting one costs a look at one number: the thread keeps sleeping until the
 * earliest deadline it knew of, and only then looks for what has come instead.
 */
final class DeadlineTimer implements AutoCloseable {
    private static final long NANOS_PER_MILLI = 1_000_000;

    /** Something that may have a deadline. */
    interface Member {
        /** No deadline is set. */
        long NONE = Long.MAX_VALUE;

        /**
         * Acts if the deadline has come, and forgets it.
         *
         * @param now the time ({@link System#nanoTime})
         * @return nanoseconds from now to the deadline that is set, or {@link #NONE}
         */
        long expire(long now);
    }

    private final Set<Member> members = ConcurrentHashMap.newKeySet();
    private final Object lock = new Object();
    private @Nullable Thread thread;
    private boolean closed;

    /** True while the thread sleeps with no deadline in sight or is at work: whoever sets a deadline must wake it. */
    private volatile boolean awaitsAny = true;

    /** When the thread will look again. Means something only if it does not await any. */
    private volatile long nextLook;

    /**
     * Sees to it that a deadline is met. To be called after the member has set it.
     *
     * @param member who has it
     * @param deadline the time ({@link System#nanoTime})
     */
    void watch(Member member, long deadline) {
        members.add(member);
        if (!awaitsAny && deadline - nextLook >= 0) {
            return;
        }
        synchronized (lock) {
            if (closed) {
                return;
            }
            if (thread == null) {
                thread = Thread.ofPlatform().daemon().name("jkvm-deadline").start(this::serve);
            }
            if (awaitsAny || deadline - nextLook < 0) {
                nextLook = deadline;
                awaitsAny = false;
                lock.notifyAll();
            }
        }
    }

    /** Forgets a member that will have no more deadlines. */
    void forget(Member member) {
        members.remove(member);
    }

    private void serve() {
        synchronized (lock) {
            while (!closed) {
                // Before the members are asked: one that sets a deadline after it was asked sees this and waits for the
                // lock.
                awaitsAny = true;
                long now = System.nanoTime();
                long soonest = Member.NONE;
                for (Member member : members) {
                    soonest = Math.min(soonest, member.expire(now));
                }
                if (soonest != Member.NONE) {
                    nextLook = now + soonest;
                    awaitsAny = false;
                }
                sleep();
            }
        }
    }

    private void sleep() {
        try {
            while (!closed) {
                if (awaitsAny) {
                    lock.wait();
                    continue;
                }
                long left = nextLook - System.nanoTime();
                if (left <= 0) {
                    return;
                }
                lock.wait(left / NANOS_PER_MILLI, (int) (left % NANOS_PER_MILLI));
            }
        } catch (InterruptedException e) {
            // Nobody has a reason to interrupt this thread; it just looks again.
        }
    }

    /** Ends the thread and waits for it, unless called from it. */
    @Override
    public void close() {
        Thread ending;
        synchronized (lock) {
            closed = true;
            lock.notifyAll();
            ending = thread;
        }
        boolean interrupted = false;
        while (ending != null && ending.isAlive()) {
            try {
                ending.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
