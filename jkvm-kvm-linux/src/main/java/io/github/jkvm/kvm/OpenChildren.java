package io.github.jkvm.kvm;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;

/**
 * What was made for a VM and has to be closed before it: so that nothing outlives the VM, whoever closes first.
 *
 * @param <T> the kind
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
        if (closed) {
            throw new IllegalStateException("the VM is closed");
        }
        U made = maker.get();
        open.add(made);
        return made;
    }

    /** Looks at each of them. */
    synchronized void forEach(Consumer<T> action) {
        open.forEach(action);
    }

    /** Tells whether something is so of one of them. */
    synchronized boolean any(Predicate<T> test) {
        return open.stream().anyMatch(test);
    }

    /** Forgets one that is closed. */
    synchronized void remove(T child) {
        open.remove(child);
    }

    /** Closes all, the latest first, and lets none be made any more. What one of them throws is thrown once all are closed. */
    void close() {
        List<T> last;
        synchronized (this) {
            closed = true;
            last = new ArrayList<>(open).reversed();
        }
        Closing.inOrder(last.toArray(AutoCloseable[]::new));
    }
}
