package io.github.jkvm.kvm;

import io.github.jkvm.EventLoop;

/** Code that runs in a loop until its registration ends. */
abstract class LoopEntry implements EventLoop.Registration {
    private final EpollEventLoop loop;

    /** Held while the code runs, so that {@link #close()} can wait for it. */
    private final Object run = new Object();

    private volatile boolean ended;

    LoopEntry(EpollEventLoop loop) {
        this.loop = loop;
    }

    /** Does the work; what happened to a descriptor is told as bits. */
    abstract void ready(int events);

    /** Lets the code not begin any more, without waiting for it. Takes the loop's lock. */
    abstract void end();

    /** Keeps the code from beginning. Called with the loop's lock held. */
    final void setEnded() {
        ended = true;
    }

    final boolean hasEnded() {
        return ended;
    }

    /** Runs the code, on the loop's thread. */
    final void run(int events) {
        synchronized (run) {
            if (!ended) {
                try {
                    ready(events);
                } catch (Throwable t) {
                    loop.log(t);
                }
            }
        }
    }

    @Override
    public final void close() {
        end();
        if (!loop.inLoop()) {
            awaitRun();
        }
    }

    private void awaitRun() {
        synchronized (run) {
            assert ended : "the code can't begin any more, and now it is not running";
        }
    }
}
