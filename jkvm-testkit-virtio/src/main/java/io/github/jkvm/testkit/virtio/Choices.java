package io.github.jkvm.testkit.virtio;

import java.util.SplittableRandom;

/** Where a fuzz case gets its decisions from: random numbers, or a fuzzer that watches which code they reach. */
public interface Choices {
    /**
     * Returns a number of a range.
     *
     * @param least the least
     * @param most the greatest
     * @return a number from {@code least} to {@code most}
     */
    long between(long least, long most);

    /**
     * Returns some bytes.
     *
     * @param most how many at most
     * @return 0 to so many bytes
     */
    byte[] bytes(int most);

    /**
     * Returns a number below a limit.
     *
     * @param limit the limit, 1 or more
     * @return a number from 0 to {@code limit} - 1
     */
    default int below(int limit) {
        return (int) between(0, limit - 1L);
    }

    /**
     * Returns true now and then.
     *
     * @param times 1 or more
     * @return true about once in so many times
     */
    default boolean oneIn(int times) {
        return below(times) == 0;
    }

    /**
     * Returns any number, small ones, powers of two and their neighbours more often.
     *
     * @return a number
     */
    default long number() {
        return switch (below(4)) {
            case 0 -> between(0, 16);
            case 1 -> (1L << below(Long.SIZE)) + between(-2, 2);
            case 2 -> between(0, 0xFFFF_FFFFL);
            default -> between(Long.MIN_VALUE, Long.MAX_VALUE);
        };
    }

    /**
     * Returns choices that a seed repeats.
     *
     * @param seed the seed
     * @return the choices
     */
    static Choices random(long seed) {
        var random = new SplittableRandom(seed);
        return new Choices() {
            @Override
            public long between(long least, long most) {
                if (most == Long.MAX_VALUE) {
                    return least == Long.MIN_VALUE ? random.nextLong() : random.nextLong(least - 1, most) + 1;
                }
                return random.nextLong(least, most + 1);
            }

            @Override
            public byte[] bytes(int most) {
                byte[] bytes = new byte[random.nextInt(most + 1)];
                random.nextBytes(bytes);
                return bytes;
            }
        };
    }
}
