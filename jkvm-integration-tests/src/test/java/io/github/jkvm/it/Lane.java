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
     * Returns how often to repeat something: all of it on a real processor, a tenth where the processor is emulated in software.
     *
     * @param full how often on a real processor
     */
    public static int repeats(int full) {
        return EMULATED ? full / 10 : full;
    }
}
