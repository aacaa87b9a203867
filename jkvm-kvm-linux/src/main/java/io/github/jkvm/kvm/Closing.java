package io.github.jkvm.kvm;

import org.jspecify.annotations.Nullable;

/** Closes several things, whatever each of them throws: one that can't be closed must not keep the rest open. */
final class Closing {
    private Closing() {}

    /**
     * Closes things one after another.
     *
     * @param things the things
     * @throws RuntimeException the first that one of them threw, with later ones added to it, once all are closed
     */
    static void inOrder(AutoCloseable... things) {
        Throwable first = null;
        for (AutoCloseable thing : things) {
            try {
                thing.close();
            } catch (Throwable t) {
                if (first == null) {
                    first = t;
                } else {
                    first.addSuppressed(t);
                }
            }
        }
        rethrow(first);
    }

    private static void rethrow(@Nullable Throwable thrown) {
        switch (thrown) {
            case null -> {}
            case RuntimeException runtime -> throw runtime;
            case Error error -> throw error;
            // None of those closed here declares one.
            default -> throw new IllegalStateException(thrown);
        }
    }
}
