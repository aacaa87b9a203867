package io.github.jkvm.testkit.internal;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Supplier;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;

/** The guests that an extension has made: JUnit closes them with the context that they were made for, and failures tell how they were. */
public final class TestGuests {
    private final Namespace namespace;

    /**
     * Creates it.
     *
     * @param namespace the extension's own
     */
    public TestGuests(Namespace namespace) {
        this.namespace = namespace;
    }

    /**
     * Adds a guest.
     *
     * @param context what it is made for
     * @param report tells how it is
     * @param close closes it
     */
    public void add(ExtensionContext context, Supplier<String> report, Runnable close) {
        context.getStore(namespace)
                .getOrComputeIfAbsent(context.getUniqueId(), id -> new Guests(), Guests.class)
                .all
                .add(new Guest(report, close));
    }

    /**
     * Adds the reports of the guests of a context, and of those around it, to a failure.
     *
     * @param context where the test has failed
     * @param failure how
     */
    public void describe(ExtensionContext context, Throwable failure) {
        for (Optional<ExtensionContext> at = Optional.of(context);
                at.isPresent();
                at = at.get().getParent()) {
            Guests guests = at.get().getStore(namespace).get(at.get().getUniqueId(), Guests.class);
            if (guests != null) {
                guests.all.forEach(guest -> failure.addSuppressed(new GuestState(guest.report.get())));
            }
        }
    }

    private record Guest(Supplier<String> report, Runnable close) {}

    /** Guests of one context. */
    private static final class Guests implements AutoCloseable {
        private final List<Guest> all = new CopyOnWriteArrayList<>();

        @Override
        public void close() {
            all.forEach(guest -> guest.close.run());
        }
    }

    /** Not a failure of its own: how a guest was when its test failed. */
    private static final class GuestState extends Throwable {
        private static final long serialVersionUID = 1;

        GuestState(String report) {
            super(report, null, false, false);
        }
    }
}
