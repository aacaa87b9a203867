package io.github.jkvm.virtio;

import java.util.concurrent.atomic.LongAdder;

/** Counts something that a device does, from zero, as long as the device lives. Safe for use by many threads; counting allocates nothing. */
public final class Counter {
    private final String name;
    private final LongAdder count = new LongAdder();

    Counter(String name) {
        this.name = name;
    }

    /**
     * Returns what is counted.
     *
     * @return the name
     */
    public String name() {
        return name;
    }

    /** Counts one. */
    public void increment() {
        count.increment();
    }

    /**
     * Counts several.
     *
     * @param amount how many, 0 or more
     */
    public void add(long amount) {
        count.add(amount);
    }

    /**
     * Returns the count.
     *
     * @return the count
     */
    public long value() {
        return count.sum();
    }

    /** Returns name and count. */
    @Override
    public String toString() {
        return name + "=" + value();
    }
}
