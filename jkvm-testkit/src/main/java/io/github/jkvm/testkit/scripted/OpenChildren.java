package io.github.jkvm.testkit.scripted;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;

/**
 * What was made for a VM and is closed before it.
 *
 * @param <T> the kind; closing one removes it from here
 */
final class OpenChildren<T extends AutoCloseable> {
    private final Set<T> open = new LinkedHashSet<>();
    private boolean closed;

    /**
     * Makes one more.
     *
     * @param maker makes it; runs with the set locked, so that none is made while all are closed
     * @return what it made
     * @throws IllegalStateException if the set is closed
     */
    synchronized <U extends T> U add(Supplier<U> maker) {
        checkOpen();
        U made = maker.get();
        open.add(made);
        return made;
    }

    synchronized void checkOpen() {
        if (closed) {
            throw new IllegalStateException("the VM is closed");
        }
    }

    /** Returns those that are open now. */
    synchronized List<T> list() {
        return List.copyOf(open);
    }

    /** Forgets one that is closed. */
    synchronized void remove(T child) {
        open.remove(child);
    }

    /** Lets none be made any more, and returns those there are, the latest first. */
    synchronized List<T> close() {
        closed = true;
        return new ArrayList<>(open).reversed();
    }
}
