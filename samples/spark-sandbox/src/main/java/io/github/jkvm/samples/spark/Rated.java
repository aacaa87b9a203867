package io.github.jkvm.samples.spark;

import java.io.Serializable;

/**
 * A review, and what the code that nobody trusts made of it.
 *
 * @param review the text
 * @param rating its rating; 0 if there is none
 * @param problem why there is none; empty if there is one
 * @param executor the process that it was rated in
 */
public record Rated(String review, int rating, String problem, long executor) implements Serializable {
    static Rated of(String review, int rating) {
        return new Rated(review, rating, "", ProcessHandle.current().pid());
    }

    static Rated failed(String review, String problem) {
        return new Rated(review, 0, problem, ProcessHandle.current().pid());
    }

    /** Returns a line of a table. */
    @Override
    public String toString() {
        return problem.isEmpty() ? "%4d  %s".formatted(rating, review) : "   -  %s  [%s]".formatted(review, problem);
    }
}
