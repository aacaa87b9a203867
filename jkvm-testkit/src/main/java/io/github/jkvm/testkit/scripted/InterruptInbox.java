package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Vm.Delivery;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What stands in for the interrupt controllers of a VM: the interrupts that wait for the guest, the lines that are asserted, and a record of all that
 * came. Any vCPU takes them; which one a controller would have chosen is not told apart.
 */
final class InterruptInbox {
    /** Interrupts that the record keeps; older ones are forgotten first. */
    static final int RECORDED = 10_000;

    private final Runnable onPending;

    // All guarded by this object.
    private final LinkedHashSet<GuestInterrupt> pending = new LinkedHashSet<>();
    private final ArrayDeque<GuestInterrupt> record = new ArrayDeque<>();
    private final Set<Integer> asserted = new HashSet<>();
    private final Set<Integer> inService = new HashSet<>();
    private final Map<Integer, List<Consumer<Integer>>> listeners = new HashMap<>();

    /**
     * Creates it, empty.
     *
     * @param onPending called when there is one more for the guest, with no lock held
     */
    InterruptInbox(Runnable onPending) {
        this.onPending = onPending;
    }

    /**
     * Takes an interrupt that happens at a moment. It merges with an equal one that the guest has not taken.
     *
     * @return whether it is one more for the guest
     */
    Delivery post(GuestInterrupt interrupt) {
        boolean added;
        synchronized (this) {
            added = pending.add(interrupt);
            if (added) {
                write(interrupt);
            }
        }
        if (added) {
            onPending.run();
        }
        return added ? Delivery.DELIVERED : Delivery.BLOCKED;
    }

    /** Asserts a line. */
    void raise(int gsi) {
        synchronized (this) {
            if (!asserted.add(gsi) || inService.contains(gsi)) {
                return; // comes when the guest has ended the one before
            }
            pending.add(new GuestInterrupt.Line(gsi));
            write(new GuestInterrupt.Line(gsi));
        }
        onPending.run();
    }

    /** Stops asserting a line: an interrupt that the guest has not taken is gone. */
    synchronized void lower(int gsi) {
        asserted.remove(gsi);
        pending.remove(new GuestInterrupt.Line(gsi));
    }

    private void write(GuestInterrupt interrupt) {
        if (record.size() == RECORDED) {
            record.removeFirst();
        }
        record.addLast(interrupt);
    }

    synchronized boolean isPending() {
        return !pending.isEmpty();
    }

    synchronized boolean isAsserted(int gsi) {
        return asserted.contains(gsi);
    }

    /** Lets the guest take the interrupt that waits the longest; null if there is none. */
    synchronized @Nullable GuestInterrupt take() {
        var first = pending.iterator();
        if (!first.hasNext()) {
            return null;
        }
        GuestInterrupt interrupt = first.next();
        first.remove();
        if (interrupt instanceof GuestInterrupt.Line line) {
            inService.add(line.gsi());
        }
        return interrupt;
    }

    /**
     * Ends an interrupt of a line: those who listen are told, and if the line is still asserted, there is one more.
     *
     * @throws IllegalStateException if the guest has not taken one
     */
    void end(int gsi) {
        List<Consumer<Integer>> told;
        boolean again;
        synchronized (this) {
            if (!inService.remove(gsi)) {
                throw new IllegalStateException(
                        "the guest ends an interrupt of line " + gsi + " that it has not taken; take it first");
            }
            told = new ArrayList<>(listeners.getOrDefault(gsi, List.of()));
            if (!told.isEmpty()) {
                asserted.remove(gsi); // an irqfd with resampling is lowered by the guest's end of the interrupt
            }
            again = asserted.contains(gsi);
            if (again) {
                pending.add(new GuestInterrupt.Line(gsi));
                write(new GuestInterrupt.Line(gsi));
            }
        }
        told.forEach(listener -> listener.accept(gsi));
        if (again) {
            onPending.run();
        }
    }

    /** Has a listener told when the guest ends an interrupt of a line, and the line lowered by it. */
    synchronized void listen(int gsi, Consumer<Integer> listener) {
        listeners.computeIfAbsent(gsi, none -> new ArrayList<>()).add(listener);
    }

    synchronized void ignore(int gsi, Consumer<Integer> listener) {
        Collection<Consumer<Integer>> those = listeners.getOrDefault(gsi, new ArrayList<>());
        those.remove(listener);
        if (those.isEmpty()) {
            listeners.remove(gsi);
        }
    }

    /** Returns what came, in order. */
    synchronized List<GuestInterrupt> recorded() {
        return List.copyOf(record);
    }
}
