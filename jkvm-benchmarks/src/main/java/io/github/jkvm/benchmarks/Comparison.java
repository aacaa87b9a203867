package io.github.jkvm.benchmarks;

import java.util.Arrays;
import java.util.Locale;

/**
 * Runs the same thing here and in C by turns and compares the medians, so that what else the machine does meets both alike.
 *
 * @param name what is measured
 * @param count how many operations one turn has
 * @param warmUp how many operations come first that are not counted: enough for the JVM to compile all that they run
 */
record Comparison(String name, int count, int warmUp) {
    private static final int ROUNDS = 201;

    /** One side: does {@link #count} operations and returns how many nanoseconds that took. */
    interface Side {
        long run(int count);
    }

    /** Measures and prints the line of this figure. */
    void print(Side jkvm, Side c) {
        System.err.printf(Locale.ROOT, "%s: %d to warm up%n", name, warmUp);
        for (int done = 0; done < warmUp; done += count) {
            jkvm.run(count);
        }
        c.run(count);
        System.err.printf(Locale.ROOT, "%s: %d turns of %d in Java and in C%n", name, ROUNDS, count);
        long[] ours = new long[ROUNDS];
        long[] theirs = new long[ROUNDS];
        for (int i = 0; i < ROUNDS; i++) {
            // Each goes first in every other round.
            if (i % 2 == 0) {
                ours[i] = jkvm.run(count);
                theirs[i] = c.run(count);
            } else {
                theirs[i] = c.run(count);
                ours[i] = jkvm.run(count);
            }
        }
        double our = microseconds(ours);
        double their = microseconds(theirs);
        System.out.printf(Locale.ROOT, "%s ratio %.2f jkvm %.2f us c %.2f us%n", name, our / their, our, their);
    }

    private double microseconds(long[] nanoseconds) {
        Arrays.sort(nanoseconds);
        return nanoseconds[nanoseconds.length / 2] / 1000.0 / count;
    }
}
