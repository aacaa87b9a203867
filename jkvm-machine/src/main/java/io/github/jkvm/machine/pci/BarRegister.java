package io.github.jkvm.machine.pci;

import io.github.jkvm.Bus;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.PciBar;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import org.jspecify.annotations.Nullable;

/** A 64-bit base address register for memory (6.2.5.1), and the range that it has the bus answer at. Not safe for use by several threads. */
final class BarRegister {
    /** Bits 1 and 2: "Base register is 64 bits wide and can be mapped anywhere"; not prefetchable. */
    private static final int MEMORY_64 = 0b0100;

    private static final Logger LOG = System.getLogger(BarRegister.class.getName());

    private final String owner;
    private final int offset;
    private final PciBar bar;
    private final long initial;
    private final Listener listener;
    private Bus.@Nullable Claim claim;
    private long place;

    /** Gets to know where the registers can be reached. */
    interface Listener {
        /** Does not want to know. */
        Listener NONE = new Listener() {
            @Override
            public void placed(GuestAddress base) {}

            @Override
            public void removed() {}
        };

        void placed(GuestAddress base);

        void removed();
    }

    /**
     * Creates the register.
     *
     * @param owner name of the function and the register, for messages
     * @param number the number of the base address register, 0, 2 or 4
     * @param bar what it places
     * @param initial where firmware would place it
     * @param listener is told what becomes of it
     */
    BarRegister(String owner, int number, PciBar bar, long initial, Listener listener) {
        this.owner = owner;
        this.offset = ConfigSpace.FIRST_BAR + number * Integer.BYTES;
        this.bar = bar;
        this.initial = initial;
        this.listener = listener;
    }

    /** Puts the register into configuration space: the guest can write the bits above the size, and so learns it (6.2.5.1). */
    void addTo(ConfigSpace config) {
        config.allow(offset, Long.BYTES, -bar.size());
        reset(config);
    }

    void reset(ConfigSpace config) {
        config.set(offset, Long.BYTES, initial | MEMORY_64);
    }

    /** Has the bus answer where the register says, or nowhere. */
    void update(ConfigSpace config, Bus bus, boolean enabled) {
        long wanted = config.get(offset, Long.BYTES) & -bar.size();
        if (enabled && (claim == null || wanted != place)) {
            remove();
            place(bus, wanted);
        } else if (!enabled) {
            remove();
        }
    }

    private void place(Bus bus, long wanted) {
        var base = GuestAddress.of(wanted);
        try {
            claim = bus.claimMmio(base, bar.size(), bar.registers(), owner);
        } catch (IllegalArgumentException taken) {
            // The guest's doing: two devices at one place, or one on top of memory. On hardware too, no good comes of
            // that.
            LOG.log(Level.DEBUG, "{0} does not answer: {1}", owner, taken.getMessage());
            return;
        }
        place = wanted;
        listener.placed(base);
    }

    void remove() {
        if (claim != null) {
            listener.removed();
            claim.close();
            claim = null;
        }
    }
}
