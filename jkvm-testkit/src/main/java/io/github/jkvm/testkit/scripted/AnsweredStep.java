package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Bytes;

/** A step whose exit wants an answer of the program that runs the vCPU. */
abstract class AnsweredStep extends Step {

    /** What every bit of an unanswered read is. */
    static final long ALL_ONES = -1;

    /**
     * Takes a number.
     *
     * @return false if the exit takes none
     */
    abstract boolean give(long value);

    /**
     * Takes bytes.
     *
     * @return false if the exit takes none
     * @throws IllegalArgumentException if their number is another than was asked for
     */
    boolean give(Bytes data) {
        return false;
    }

    /**
     * Takes a fault.
     *
     * @return false if the exit takes none
     */
    boolean giveFault() {
        return false;
    }
}
