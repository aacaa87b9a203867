package io.github.jkvm.virtio.net;

import java.util.concurrent.atomic.LongAdder;

/** Where one virtual machine is plugged into a {@link Switch}. Made by {@link Switch#newPort}; unplugged when closed. */
public final class SwitchPort extends RingPort {
    private final Switch owner;
    private final int number;
    private final LongAdder missed = new LongAdder();

    /** How many stations are known behind this port. Kept by the table, in its monitor. */
    int learned;

    private long lastSource = -1;
    private long lastLearned;

    SwitchPort(Switch owner, int number, int capacity) {
        super(capacity);
        this.owner = owner;
        this.number = number;
    }

    /**
     * Returns how many frames for this port were lost, since its queue was full.
     *
     * @return the count since the port was made
     */
    public long missedFrames() {
        return missed.sum();
    }

    @Override
    public LinkState link() {
        return owner.isClosed() ? LinkState.DOWN : LinkState.UP;
    }

    @Override
    public Sent send(int pair, Frame frame) {
        return owner.forward(this, frame);
    }

    /** Puts a frame of this port's guest into another port. */
    boolean passTo(SwitchPort other, Frame frame) {
        if (!other.isStarted()) {
            return false;
        }
        if (!pass(frame, other)) {
            other.missed.increment();
            return false;
        }
        return true;
    }

    /** Tells whether the table should hear of a source again: a station that sends much is not learned with each frame. */
    boolean isNews(long source, long now, long interval) {
        if (source == lastSource && now - lastLearned < interval) {
            return false;
        }
        lastSource = source;
        lastLearned = now;
        return true;
    }

    @Override
    public void stop() {
        super.stop();
        lastSource = -1;
        owner.forget(this);
    }

    /** Unplugs the port, for good. */
    @Override
    public void close() {
        stop();
        owner.remove(this);
    }

    /** Returns the number of the port. */
    @Override
    public String toString() {
        return "switch port " + number;
    }
}
