package io.github.jkvm;

import java.time.Duration;
import java.util.concurrent.Executor;
import java.util.function.IntConsumer;

/**
 * A thread that waits for doorbells and timers and runs the code of devices, one piece after another.
 *
 * <p>Code run by one loop never runs at the same time as other code of that loop, so a device that does all its work there needs no
 * locks. Such code must not wait for long: the other devices on the loop wait with it. What it throws is logged, and
 * the loop goes on. Methods may be called from any thread.
 */
public interface EventLoop extends Executor, AutoCloseable {

    /** Something registered with a loop. */
    interface Registration extends AutoCloseable {
        /**
         * Ends it. On return from a call on another thread than the loop's, its code is not running and will not run again; on the loop's own
         * thread it will not run again. Closing twice does nothing.
         */
        @Override
        void close();
    }

    /**
     * Runs code each time a doorbell has rung. Rings that come before the code has begun merge into one run.
     *
     * @param doorbell the doorbell, of the same hypervisor; its rings are taken by the loop
     * @param action the code
     * @return the registration
     * @throws IllegalStateException if the loop or the doorbell is closed, or the doorbell is registered already
     */
    Registration onRing(Doorbell doorbell, Runnable action);

    /**
     * Runs code whenever a source has become ready for something since the last time, and once in the beginning if it is ready then. The code
     * must read until there is nothing left, or write until there is no room left: it is not told again of what it left.
     *
     * @param source the source, of the same host; stays the caller's to close, after the registration
     * @param action gets what it is ready for: the sum of {@link EventSource#READABLE} and the like
     * @return the registration
     * @throws IllegalArgumentException if this loop can't wait for sources of this kind
     * @throws IllegalStateException if the loop or the source is closed
     */
    Registration onReady(EventSource source, IntConsumer action);

    /**
     * Runs code once after a delay.
     *
     * @param delay how long to wait, at least; zero or negative means as soon as possible
     * @param action the code
     * @return the registration
     * @throws IllegalStateException if the loop is closed
     */
    Registration schedule(Duration delay, Runnable action);

    /**
     * Runs code once, after what was given before.
     *
     * @param action the code
     * @throws IllegalStateException if the loop is closed
     */
    @Override
    void execute(Runnable action);

    /**
     * Tells whether the calling thread is the loop's.
     *
     * @return true if it is
     */
    boolean inLoop();

    /**
     * Ends the loop's thread after the piece of code it is in, and waits for that, unless called from the loop itself. Code not yet
     * begun is dropped. Closing twice does nothing.
     */
    @Override
    void close();
}
