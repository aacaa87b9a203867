package io.github.jkvm.testkit.virtio;

import io.github.jkvm.Bus;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.HostFile;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.PciBar;
import io.github.jkvm.PciBus;
import io.github.jkvm.PciCapability;
import io.github.jkvm.PciFunction;
import io.github.jkvm.PciSlot;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The PCI bus of a {@link TestBus}: one slot, whose function has its first range of registers at {@link #REGISTERS}. The test plays host bridge and
 * MSI-X table: it moves registers and {@linkplain #enableVectors enables vectors}.
 */
public final class TestPciBus implements PciBus {
    /** Guest-physical address of the function's first range of registers, until it is {@linkplain #place moved}. */
    public static final long REGISTERS = 0xE010_0000L;

    private static final int DEVICE = 1;
    private static final int PIN_GSI = 17;

    private final TestBus bus;
    private final List<Integer> signalled = new CopyOnWriteArrayList<>();
    private final List<Integer> attached = new CopyOnWriteArrayList<>();
    private @Nullable PciFunction function;
    private List<PciCapability> capabilities = List.of();
    private Bus.@Nullable Claim claim;
    private long base = REGISTERS;
    private volatile boolean vectorsEnabled;
    private volatile boolean pinHigh;
    private final AtomicInteger pinRaised = new AtomicInteger();
    private boolean closed;

    TestPciBus(TestBus bus) {
        this.bus = bus;
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalStateException if there is a function already
     */
    @Override
    public PciSlot plug(PciFunction plugged) {
        if (function != null) {
            throw new IllegalStateException("the one slot has " + function.name());
        }
        function = plugged;
        capabilities = List.copyOf(plugged.capabilities());
        place(REGISTERS);
        return new Slot();
    }

    /**
     * The guest moves the function's first range of registers.
     *
     * @param to guest-physical address
     */
    public void place(long to) {
        remove();
        PciBar bar = function().bars().getFirst();
        claim = bus.claimMmio(
                GuestAddress.of(to), bar.size(), bar.registers(), function().name());
        base = to;
        function().placed(0, GuestAddress.of(to));
    }

    /** The guest disables the function's registers. */
    public void remove() {
        Bus.Claim held = claim;
        if (held != null) {
            function().removed(0);
            held.close();
            claim = null;
        }
    }

    /** The guest enables MSI-X, with no vector masked. */
    public void enableVectors() {
        vectorsEnabled = true;
    }

    /**
     * Tells whether a function was plugged in.
     *
     * @return true if one was
     */
    public boolean isPlugged() {
        return function != null;
    }

    /**
     * Returns the function.
     *
     * @return what was plugged in
     * @throws IllegalStateException if nothing was
     */
    public PciFunction function() {
        PciFunction now = function;
        if (now == null) {
            throw new IllegalStateException("no function is plugged into the PCI bus");
        }
        return now;
    }

    /**
     * Returns where the function's first range of registers is, or was last.
     *
     * @return the guest-physical address
     */
    public long base() {
        return base;
    }

    /**
     * Finds the virtio capability of a type: the driver reads {@code cfg_type}, the fourth byte (virtio 1.2, 4.1.4).
     *
     * @param type the type, such as 1 for the common configuration
     * @return the capability, if there is one
     */
    public Optional<PciCapability> capability(int type) {
        // The first two bytes, id and next pointer, are the bus's.
        return capabilities.stream()
                .filter(each -> each.id() == PciCapability.VENDOR_SPECIFIC
                        && (each.registers().read(1, 1) & 0xFF) == type)
                .findFirst();
    }

    boolean vectorsEnabled() {
        return vectorsEnabled;
    }

    /**
     * Returns the vectors whose messages were sent.
     *
     * @return a live view, in order
     */
    public List<Integer> signalled() {
        return Collections.unmodifiableList(signalled);
    }

    /**
     * Returns the vectors that events of the host's send.
     *
     * @return a live view
     */
    public List<Integer> attached() {
        return Collections.unmodifiableList(attached);
    }

    /**
     * Tells whether the interrupt pin is raised.
     *
     * @return true if it is
     */
    public boolean isPinHigh() {
        return pinHigh;
    }

    int pinRaised() {
        return pinRaised.get();
    }

    /**
     * Tells whether the function has left its slot.
     *
     * @return true if it has
     */
    public boolean isClosed() {
        return closed;
    }

    private final class Slot implements PciSlot {
        @Override
        public int device() {
            return DEVICE;
        }

        @Override
        public boolean vectorsEnabled() {
            return vectorsEnabled;
        }

        @Override
        public void signal(int vector) {
            if (vectorsEnabled) {
                signalled.add(vector);
            }
        }

        @Override
        public MessageInterrupt.Attachment attach(int vector, HostFile event) {
            attached.add(vector);
            return () -> attached.remove((Object) vector);
        }

        @Override
        public InterruptLine pin() {
            return new Pin();
        }

        @Override
        public void close() {
            closed = true;
            remove();
        }
    }

    private final class Pin implements InterruptLine {
        @Override
        public int gsi() {
            return PIN_GSI;
        }

        @Override
        public void raise() {
            if (!pinHigh) {
                pinRaised.incrementAndGet();
            }
            pinHigh = true;
        }

        @Override
        public void lower() {
            pinHigh = false;
        }
    }
}
