package io.github.jkvm.virtio.queue;

import io.github.jkvm.GuestMemory;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What one format of rings does for a {@link VirtQueue}: reads what the driver wrote, writes what the driver reads, and knows where both
 * stand. Every method may throw {@link io.github.jkvm.GuestMemoryException} if memory was taken away since the queue was activated.
 */
abstract sealed class Rings permits SplitRings, PackedRing {
    private final GuestMemory memory;
    private final HeadSet inFlight;

    Rings(GuestMemory memory, HeadSet inFlight) {
        this.memory = memory;
        this.inFlight = inFlight;
    }

    /** Starts with a layout that was checked, at a {@link #position}; makes room for the names of the chains in flight. */
    abstract void begin(QueueLayout layout, Set<QueueFeature> features, int position);

    /** Reads whether there is a chain to take. */
    abstract boolean hasNext();

    /** Takes the chain that {@link #hasNext} found and moves past it, or returns what is wrong with it. */
    abstract @Nullable QueueFault take(DescriptorChain chain);

    /** Moves back before the chain taken last, which has so many ring entries. */
    abstract void untake(int slots);

    /** Tells the driver that a chain is used: at once, or with {@link #show} if completions are held. */
    abstract void publish(int head, int slots, int written);

    /** Lets the driver see no more completions until {@link #show}. */
    abstract void hold();

    /** Lets the driver see what was held, all at once. */
    abstract void show();

    /** Reads whether an interrupt is wanted for the ring entries that were published last. */
    abstract boolean driverWantsInterrupt(int published);

    /** Tells the driver that no notification is needed. */
    abstract void disableNotifications();

    /** Tells the driver that a notification is needed for the next chain. */
    abstract void enableNotifications();

    /** Returns where the rings stand while no chain is in flight, as it is saved: 0 to 65535. */
    abstract int position();

    final GuestMemory memory() {
        return memory;
    }

    final HeadSet inFlight() {
        return inFlight;
    }
}
