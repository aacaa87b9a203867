package io.github.jkvm.virtio;

import io.github.jkvm.DeviceState;
import io.github.jkvm.HostFile;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.PciSlot;
import java.lang.System.Logger.Level;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * How a device on PCI interrupts the guest (virtio 1.2, 4.1.4.5, 4.1.5.1.2 and 4.1.5.3): by the vectors that the driver has chosen; or, without
 * MSI-X, by the pin, with a register that tells what it is for. Safe for use by many threads.
 */
final class PciInterrupt implements Transport {
    /** VIRTIO_MSI_NO_VECTOR: an event that interrupts nobody. */
    static final int NO_VECTOR = 0xFFFF;

    /* Bits of the ISR status register. */
    private static final int QUEUE = 1;
    private static final int CONFIG = 2;
    private static final int STATUS_BITS = QUEUE | CONFIG;

    private static final System.Logger LOG = System.getLogger(PciInterrupt.class.getName());

    private final String name;
    /** The vector of each queue, then that of the configuration. */
    private final int[] vectors;

    /** What interrupts for each queue without this process, if something does. */
    private final @Nullable QueueEvent[] events;

    private volatile @Nullable PciSlot slot;
    private int status;

    PciInterrupt(String name, int queues) {
        this.name = name;
        this.vectors = new int[queues + 1];
        this.events = new @Nullable QueueEvent[queues];
        Arrays.fill(vectors, NO_VECTOR);
    }

    /** Tells where interrupts go. Those before are lost: nobody listens yet. */
    void connect(PciSlot to) {
        slot = to;
    }

    /** Returns how many vectors there are: enough that every event can have its own. */
    int vectorCount() {
        return vectors.length;
    }

    synchronized int queueVector(int queue) {
        return vectors[queue];
    }

    synchronized int configVector() {
        return vectors[vectors.length - 1];
    }

    /**
     * Maps a queue to a vector. One that there is not maps it to none, which the driver sees when it reads it back (virtio 1.2, 4.1.5.1.2.1).
     */
    synchronized void setQueueVector(int queue, int vector) {
        vectors[queue] = existing(vector);
        updateEvent(queue);
    }

    synchronized void setConfigVector(int vector) {
        vectors[vectors.length - 1] = existing(vector);
    }

    private int existing(int vector) {
        return vector < vectors.length ? vector : NO_VECTOR;
    }

    @Override
    public synchronized MessageInterrupt.Attachment attach(int queue, HostFile event) {
        var added = new QueueEvent(queue, event);
        events[queue] = added;
        added.update();
        return added;
    }

    private void updateEvent(int queue) {
        QueueEvent event = events[queue];
        if (event != null) {
            event.update();
        }
    }

    /** An event that sends the vector which the driver has mapped a queue to. */
    private final class QueueEvent implements MessageInterrupt.Attachment {
        private final int queue;
        private final HostFile event;
        private int vector = NO_VECTOR;
        private MessageInterrupt.@Nullable Attachment attachment;

        QueueEvent(int queue, HostFile event) {
            this.queue = queue;
            this.event = event;
        }

        void update() {
            moveTo(vectors[queue]);
        }

        private void moveTo(int mapped) {
            PciSlot to = slot;
            if (to == null || vector == mapped) {
                return;
            }
            MessageInterrupt.Attachment before = attachment;
            if (before != null) {
                before.close();
            }
            attachment = mapped == NO_VECTOR ? null : to.attach(mapped, event);
            vector = mapped;
        }

        @Override
        public void close() {
            synchronized (PciInterrupt.this) {
                moveTo(NO_VECTOR);
                if (events[queue] == this) {
                    events[queue] = null;
                }
            }
        }
    }

    @Override
    public void interruptForQueue(int queue) {
        interrupt(queue, QUEUE);
    }

    @Override
    public void interruptForConfig() {
        interrupt(vectors.length - 1, CONFIG);
    }

    private synchronized void interrupt(int event, int reason) {
        PciSlot to = slot;
        if (to == null) {
            return;
        }
        try {
            if (!to.vectorsEnabled()) {
                status |= reason;
                to.pin().raise();
            } else if (vectors[event] != NO_VECTOR) {
                to.signal(vectors[event]);
            }
        } catch (IllegalStateException closed) {
            LOG.log(Level.DEBUG, "{0} interrupts a machine that is closed", name);
        }
    }

    /** Reads the ISR status register, which clears it and lowers the pin (virtio 1.2, 4.1.4.5.1). */
    synchronized int takeStatus() {
        int taken = status;
        status = 0;
        lower();
        return taken;
    }

    /** Forgets all, as the device is reset: events are mapped to no vector (virtio 1.2, 4.1.4.3.1). */
    synchronized void reset() {
        Arrays.fill(vectors, NO_VECTOR);
        updateEvents();
        status = 0;
        lower();
    }

    private void updateEvents() {
        for (int queue = 0; queue < events.length; queue++) {
            updateEvent(queue);
        }
    }

    private void lower() {
        PciSlot to = slot;
        if (to != null) {
            to.pin().lower();
        }
    }

    synchronized void save(DeviceState state) {
        state.putNumber("interruptStatus", status);
        for (int event = 0; event < vectors.length; event++) {
            state.putNumber("vector" + event, vectors[event]);
        }
    }

    /** Reads what {@link #save} wrote, and returns what takes it over. */
    Runnable restorer(DeviceState state) {
        int restored = (int) state.number("interruptStatus", 0, STATUS_BITS);
        int[] mapping = new int[vectors.length];
        for (int event = 0; event < mapping.length; event++) {
            mapping[event] = (int) state.number("vector" + event, 0, NO_VECTOR);
        }
        return () -> {
            synchronized (this) {
                for (int event = 0; event < mapping.length; event++) {
                    vectors[event] = existing(mapping[event]);
                }
                updateEvents();
                status = restored;
                PciSlot to = slot;
                if (to != null && restored != 0) {
                    to.pin().raise();
                }
            }
        };
    }
}
