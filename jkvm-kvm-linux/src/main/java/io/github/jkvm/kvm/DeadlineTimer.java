package io.github.jkvm.kvm;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The thread that ends runs whose time is over; one for each hypervisor, started when it is first needed.
 *
 * <p>Most runs end long before their deadline, so setting one costs a look at one number: the thread keeps sleeping until the
 * earliest deadline it knew of, and only then looks for what has come instead.
 */
final class DeadlineTimer implements AutoCloseable {
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
    private @Nullable Thread thread;
    private volatile boolean closed;

    /** True while the thread is at work, or sleeps with no deadline in sight: whoever sets a deadline must wake it. */
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
        if (awaitsAny || deadline - nextLook < 0) {
            LockSupport.unpark(thread());
        }
    }

    private synchronized @Nullable Thread thread() {
        if (thread == null && !closed) {
            thread = Thread.ofPlatform().daemon().name("jkvm-deadline").start(this::serve);
        }
        return thread;
    }

    /** Forgets a member that will have no more deadlines. */
    void forget(Member member) {
        members.remove(member);
    }

    private void serve() {
        while (!closed) {
            // Before the members are asked: one that sets a deadline after it was asked sees this and wakes the thread.
            awaitsAny = true;
            long now = System.nanoTime();
            long soonest = Member.NONE;
            for (Member member : members) {
                soonest = Math.min(soonest, member.expire(now));
            }
            if (soonest == Member.NONE) {
                LockSupport.park(this);
            } else {
                nextLook = now + soonest;
                awaitsAny = false;
                LockSupport.parkNanos(this, nextLook - System.nanoTime());
            }
        }
    }

    /** Ends the thread and waits for it. */
    @Override
    public void close() {
        Thread ending;
        synchronized (this) {
            closed = true;
            ending = thread;
        }
        if (ending == null) {
            return;
        }
        LockSupport.unpark(ending);
        boolean interrupted = false;
        while (ending.isAlive()) {
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
