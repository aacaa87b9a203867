package io.github.jkvm.benchmarks;

import java.util.Arrays;
import java.util.Locale;

/**
 * Runs the same thing here and elsewhere, such as in C, by turns and compares the medians, so that what else the machine does meets both alike.
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

    /** Measures and prints the line of this figure, beside C. */
    void print(Side jkvm, Side c) {
        print(jkvm, "c", c);
    }

    /** Measures and prints the line of this figure, beside something else. */
    void print(Side jkvm, String other, Side theirSide) {
        System.err.printf(Locale.ROOT, "%s: %d to warm up%n", name, warmUp);
        for (int done = 0; done < warmUp; done += count) {
            jkvm.run(count);
        }
        theirSide.run(count);
        System.err.printf(Locale.ROOT, "%s: %d turns of %d beside %s%n", name, ROUNDS, count, other);
        long[] ours = new long[ROUNDS];
        long[] theirs = new long[ROUNDS];
        for (int i = 0; i < ROUNDS; i++) {
            // Each goes first in every other round.
            if (i % 2 == 0) {
                ours[i] = jkvm.run(count);
                theirs[i] = theirSide.run(count);
            } else {
                theirs[i] = theirSide.run(count);
                ours[i] = jkvm.run(count);
            }
        }
        double our = microseconds(ours);
        double their = microseconds(theirs);
        System.out.printf(Locale.ROOT, "%s ratio %.2f jkvm %.2f us %s %.2f us%n", name, our / their, our, other, their);
    }

    private double microseconds(long[] nanoseconds) {
        Arrays.sort(nanoseconds);
        return nanoseconds[nanoseconds.length / 2] / 1000.0 / count;
    }
}
