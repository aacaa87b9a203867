package io.github.jkvm.it;

/** Where the tests run. */
public final class Lane {
    private static final boolean EMULATED = "nested".equals(System.getProperty("jkvm.lane"));

    private Lane() {}

    /** Tells whether the processor is emulated in software and the JVM spares itself the second compiler. */
    public static boolean isEmulated() {
        return EMULATED;
    }

    /**
     * Returns how often to repeat something that takes minutes: all of it if {@code JKVM_SOAK} is in the environment, as with {@code env JKVM_SOAK=1
     * scripts/lib/run-integration-tests nested CLASS} inside scripts/nested.
     *
     * @param full how often then
     * @param brief how often else
     */
    public static int soak(int full, int brief) {
        return System.getenv("JKVM_SOAK") == null ? brief : full;
    }

    /**
     * Returns how often to repeat something: all of it on a real processor, a tenth where the processor is emulated in software.
     *
     * @param full how often on a real processor
     */
    public static int repeats(int full) {
        return EMULATED ? full / 10 : full;
    }
}
