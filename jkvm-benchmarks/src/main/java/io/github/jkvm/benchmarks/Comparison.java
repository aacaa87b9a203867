package io.github.jkvm.benchmarks;

import java.util.Arrays;
import java.util.Locale;

/**
 * Runs the same thing here and elsewhere, such as in C, by turns and compares the medians, so that what else the machine does meets both alike.
 *
 * @param name what is measured
 * @param count how many operations one turn has
 * @param warmUp how many operations come first that are not counted: enough for the JVM to compile all that they run
 * @param rounds how many turns each side has, an odd number
 */
record Comparison(String name, int count, int warmUp, int rounds) {
    private static final int ROUNDS = 201;

    /** Microseconds from which on a time is told in milliseconds. */
    private static final double LONG = 100_000;

    /** As many turns as tell short things apart. */
    Comparison(String name, int count, int warmUp) {
        this(name, count, warmUp, ROUNDS);
    }

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
        System.err.printf(Locale.ROOT, "%s: %d turns of %d beside %s%n", name, rounds, count, other);
        long[] ours = new long[rounds];
        long[] theirs = new long[rounds];
        for (int i = 0; i < rounds; i++) {
            // Each goes first in every other round.
            if (i % 2 == 0) {
                ours[i] = jkvm.run(count);
                theirs[i] = theirSide.run(count);
            } else {
                theirs[i] = theirSide.run(count);
                ours[i] = jkvm.run(count);
            }
        }
        double our = microseconds(ours, count);
        double their = microseconds(theirs, count);
        System.out.printf(
                Locale.ROOT, "%s ratio %.2f jkvm %s %s %s%n", name, our / their, text(our), other, text(their));
    }

    private static String text(double microseconds) {
        return microseconds < LONG
                ? String.format(Locale.ROOT, "%.2f us", microseconds)
                : String.format(Locale.ROOT, "%.1f ms", microseconds / 1000);
    }

    /** Measures one side alone, and returns how many microseconds an operation takes. */
    static double median(int count, Side side) {
        long[] times = new long[ROUNDS];
        for (int i = 0; i < times.length; i++) {
            times[i] = side.run(count);
        }
        return microseconds(times, count);
    }

    private static double microseconds(long[] nanoseconds, int count) {
        Arrays.sort(nanoseconds);
        return nanoseconds[nanoseconds.length / 2] / 1000.0 / count;
    }
}
