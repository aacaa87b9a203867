package io.github.jkvm.machine.device;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.Interrupt;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A number in the guest's memory that is another one whenever the guest may find itself in a second copy of its life: after each restore from a snapshot.
 * The guest is told by an interrupt, and makes its random numbers anew (Microsoft, "Virtual Machine Generation ID", 2012; Linux, drivers/virt/vmgenid.c).
 */
public final class GenerationId implements Device {
    /** What this board's ACPI tables say raises the event. */
    public static final int GSI = 15;

    /** Size of the number in bytes. */
    public static final int SIZE = 16;

    private static final SecureRandom RANDOM = new SecureRandom();

    private final GuestAddress place;
    private @Nullable GuestMemory memory;
    private @Nullable Interrupt interrupt;

    /**
     * Creates the device.
     *
     * @param place where the number is: {@link #SIZE} bytes that firmware reserves, a multiple of 8
     */
    public GenerationId(GuestAddress place) {
        this.place = place;
    }

    @Override
    public String name() {
        return "vmgenid";
    }

    @Override
    public void attach(Bus bus) {
        memory = bus.memory();
        interrupt = bus.interrupt(GSI);
        change();
    }

    /**
     * Returns the number, as the guest sees it now.
     *
     * @return the number
     * @throws IllegalStateException if the device is not attached
     */
    public UUID id() {
        ByteBuffer bytes = ByteBuffer.wrap(attachedMemory().read(place.value(), SIZE));
        return new UUID(bytes.getLong(), bytes.getLong());
    }

    private void change() {
        byte[] id = new byte[SIZE];
        RANDOM.nextBytes(id);
        attachedMemory().write(place.value(), id);
    }

    private GuestMemory attachedMemory() {
        if (memory == null) {
            throw new IllegalStateException("device " + name() + " is not attached");
        }
        return memory;
    }

    /** Takes no state over: the number is a new one, and the guest is told. */
    @Override
    public void restore(DeviceState state) {
        change();
        if (interrupt != null) {
            interrupt.signal();
        }
    }

    @Override
    public void close() {
        if (interrupt != null) {
            interrupt.close();
        }
    }
}
