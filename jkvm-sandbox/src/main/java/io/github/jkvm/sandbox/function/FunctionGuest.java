package io.github.jkvm.sandbox.function;

import java.lang.foreign.MemorySegment;

/**
 * A guest as its callers see it: for each of its processors a call page, and the ways to make it run and to stop it. All that goes between caller and
 * guest are the bytes of these pages, so that the guest can just as well be in another process that they are sent to.
 *
 * <p>A processor is used by one thread at a time; {@link #interrupt} may be called from any. {@link #restore} and {@link #checkpoint} are called while no
 * processor is used.
 */
public interface FunctionGuest extends AutoCloseable {

    /** Why a processor stopped. */
    enum Stop {
        /** It rang the doorbell: the call page says why. */
        RANG,
        /** {@link FunctionGuest#interrupt} was called, now or before. */
        INTERRUPTED
    }

    /**
     * Returns the functions of the guest.
     *
     * @return the functions
     */
    GuestInterface functions();

    /**
     * Returns a processor's call page with the room behind it.
     *
     * @param processor which, from 0
     * @return the bytes, which the guest may change at any time; others after {@link #restore} and {@link #checkpoint}
     */
    MemorySegment page(int processor);

    /**
     * Returns where in the guest's memory a call page is.
     *
     * @param processor which, from 0
     * @return the address of its first byte
     */
    long pageAddress(int processor);

    /**
     * Returns where jkvm_alloc of a processor begins.
     *
     * @param processor which, from 0
     * @return the address
     */
    long heap(int processor);

    /**
     * Lets a processor go on until it rings or is interrupted.
     *
     * @param processor which, from 0
     * @return why it stopped
     * @throws CrashException if it did anything else
     */
    Stop run(int processor);

    /**
     * Makes the run of a processor end, or the next one if there is none.
     *
     * @param processor which, from 0
     */
    void interrupt(int processor);

    /**
     * Returns how long processors have worked in all, for what the limit of a call's processor time counts.
     *
     * @param caller a thread that makes a call
     * @return nanoseconds from some beginning on
     * @throws IllegalStateException if that is not known of the thread
     */
    long workedNanos(Thread caller);

    /** Brings memory and processors back to how they were at first, or at the last checkpoint. */
    void restore();

    /** Makes the state as it is now the one that {@link #restore} goes to. */
    void checkpoint();

    @Override
    void close();

    /** The guest did what it may not. */
    final class CrashException extends RuntimeException {
        private static final long serialVersionUID = 1L;

        /**
         * Creates an exception.
         *
         * @param message what it did
         */
        public CrashException(String message) {
            super(message, null, false, false);
        }
    }
}
