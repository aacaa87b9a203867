package io.github.jkvm.virtio;

import io.github.jkvm.DeviceState;
import io.github.jkvm.HostFile;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.virtio.queue.DescriptorChain;
import io.github.jkvm.virtio.queue.PopResult;
import io.github.jkvm.virtio.queue.QueueFault;
import io.github.jkvm.virtio.queue.QueueFeature;
import io.github.jkvm.virtio.queue.QueueLayout;
import io.github.jkvm.virtio.queue.VirtQueue;
import java.util.EnumSet;
import java.util.Set;

/**
 * One queue of a {@link VirtioDevice}, as the device uses it. A driver that breaks the rules stops the queue: then {@link #pop} finds nothing more,
 * and the device asks for a reset by itself.
 *
 * <p>Used on the machine's event loop only. What was not {@linkplain #complete completed} when the queue is stopped or reset is
 * forgotten: completing it later does nothing.
 */
public final class DeviceQueue {
    /** How many chains are served before other devices of the loop get their turn. A driver on another processor may never run dry. */
    private static final int TURN = 1024;

    private final DeviceCore core;
    private final int index;
    private final VirtQueue queue;
    private final DescriptorChain served = new DescriptorChain();
    private final Runnable again;
    private boolean faultReported;

    DeviceQueue(DeviceCore core, int index, int maxSize) {
        this.core = core;
        this.index = index;
        this.queue = new VirtQueue(core.memory(), maxSize);
        this.again = () -> core.notifyQueue(index);
    }

    /**
     * Returns the number of the queue.
     *
     * @return the index, from 0
     */
    public int index() {
        return index;
    }

    /**
     * Tells whether the driver has the queue in use.
     *
     * @return true if chains can come and go
     */
    public boolean isActive() {
        return queue.isActive();
    }

    /**
     * Takes the next chain.
     *
     * @param chain where it goes; in use until it is {@linkplain #complete completed} or {@linkplain #putBack put back}
     * @return whether there was one
     * @throws IllegalStateException if {@code chain} is still in flight
     */
    public boolean pop(DescriptorChain chain) {
        PopResult result = queue.pop(chain);
        if (result == PopResult.STOPPED) {
            checkFault();
        }
        return result == PopResult.CHAIN;
    }

    /**
     * Gives a chain back to the driver, which is not told before {@link #interrupt}.
     *
     * @param chain a chain popped from this queue
     * @param written how many bytes were written to it, from the first writable one on
     * @return true if the driver has it; false if the queue was reset or stopped since
     * @throws IllegalArgumentException if the chain is not from this queue, was completed before, or has no room for {@code written} bytes
     */
    public boolean complete(DescriptorChain chain, long written) {
        boolean done = queue.complete(chain, written);
        if (done) {
            core.countChain();
        } else {
            checkFault();
        }
        return done;
    }

    /**
     * Holds back what is completed from now on: the driver sees it all at once with {@link #showCompletions}. For what belongs together, such as
     * the buffers of one frame.
     */
    public void holdCompletions() {
        queue.holdCompletions();
    }

    /** Lets the driver see the completions held back. To be called before anything else is done with the queue. */
    public void showCompletions() {
        queue.showCompletions();
        checkFault();
    }

    /**
     * Leaves the chain that was popped last to be popped again.
     *
     * @param chain the chain
     * @throws IllegalArgumentException if the chain is not from this queue, or was completed before
     * @throws IllegalStateException if another chain was popped after it
     */
    public void putBack(DescriptorChain chain) {
        queue.putBack(chain);
    }

    /** Tells the driver of what was completed since the last time, if it wants to know. To be called after a batch of completions. */
    public void interrupt() {
        if (queue.interruptNeeded()) {
            core.interruptForQueue(index);
        }
        checkFault();
    }

    /* For devices whose queues another process serves. */

    /**
     * Returns where the queue is.
     *
     * @return what the driver wrote, checked; of size 0 if the queue is not in use
     */
    public QueueLayout layout() {
        return queue.layout();
    }

    /**
     * Returns where its rings stand.
     *
     * @return as {@link VirtQueue#position()}
     */
    public int position() {
        return queue.position();
    }

    /**
     * Goes on where another process has left the rings.
     *
     * @param position where they stand
     * @return false if there is no such place in the rings
     */
    public boolean moveTo(int position) {
        return queue.moveTo(position);
    }

    /** Interrupts the driver, which the other process has found to want it. */
    public void signal() {
        if (queue.isActive()) {
            core.interruptForQueue(index);
        }
    }

    /**
     * Has an event of the host's, which the other process signals, interrupt the driver where that needs nothing of this process. At other times the event
     * is left for the device's loop, which is to wait for it all the time and {@link #signal()}.
     *
     * @param event an eventfd; stays the caller's to close, after the attachment
     * @return ends it
     */
    public MessageInterrupt.Attachment interruptBy(HostFile event) {
        return core.attach(index, event);
    }

    /** Advises the driver not to notify the device of new chains, which looks for them anyway. */
    public void disableNotifications() {
        queue.disableNotifications();
        checkFault();
    }

    /**
     * Asks the driver to notify the device of the next chain.
     *
     * @return true if there are chains already, of which no notification may come
     */
    public boolean enableNotifications() {
        boolean more = queue.enableNotifications();
        checkFault();
        return more;
    }

    /**
     * Serves all chains that are there, one after another, and tells the driver. After many, the rest waits for other work of the loop.
     *
     * @param handler what is done with each; returns the number of bytes written
     */
    public void serve(ChainHandler handler) {
        int left = TURN;
        boolean more;
        do {
            disableNotifications();
            while (left > 0 && pop(served)) {
                left--;
                complete(served, handler.serve(served));
            }
            more = enableNotifications();
        } while (more && left > 0);
        interrupt();
        if (more) {
            notifyLater();
        }
    }

    /** Has the device notified of this queue once more, after other work of the loop: for a device that has done enough for one turn. */
    public void notifyLater() {
        core.later(again);
    }

    private void checkFault() {
        if (!faultReported) {
            QueueFault fault = queue.fault().orElse(null);
            if (fault != null) {
                faultReported = true;
                core.queueFault(index, fault);
            }
        }
    }

    /* What the core does. */

    void activate(QueueLayout layout) {
        faultReported = false;
        Set<QueueFeature> features = EnumSet.noneOf(QueueFeature.class);
        for (QueueFeature feature : QueueFeature.values()) {
            if ((core.negotiated() & Feature.mask(feature.bit())) != 0) {
                features.add(feature);
            }
        }
        queue.activate(layout, features);
        checkFault();
    }

    void reset() {
        core.countDropped(queue.chainsInFlight());
        queue.reset();
        faultReported = false;
    }

    void save(DeviceState state) {
        queue.save(state, "queue" + index);
    }

    void restore(DeviceState state) {
        queue.restore(state, "queue" + index);
        faultReported = queue.fault().isPresent();
    }

    /** Returns the number and the state of the queue. */
    @Override
    public String toString() {
        return "queue " + index + " of " + core.name() + ": " + queue;
    }
}
