package io.github.jkvm.virtio;

import io.github.jkvm.Bus;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.HostFile;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.PciBus;
import io.github.jkvm.PciCapability;
import io.github.jkvm.PciFunction;
import io.github.jkvm.PciSlot;
import java.util.ArrayList;
import java.util.List;

/** A PCI bus with one slot, whose function is placed at {@link #BASE}; tests play host bridge and driver of MSI-X. */
public final class FakePci implements PciBus {
    static final long BASE = 0xE010_0000L;

    private final FakeBus bus;
    private final List<Bus.Claim> claims = new ArrayList<>();
    final List<Integer> signalled = new ArrayList<>();
    final List<Integer> attached = new ArrayList<>();
    private List<PciFunction> functions = List.of();
    private List<PciCapability> capabilities = List.of();
    boolean vectorsEnabled;
    boolean pinHigh;
    boolean closed;

    FakePci(FakeBus bus) {
        this.bus = bus;
    }

    @Override
    public PciSlot plug(PciFunction plugged) {
        functions = List.of(plugged);
        capabilities = plugged.capabilities();
        place(BASE);
        return new PciSlot() {
            @Override
            public int device() {
                return 1;
            }

            @Override
            public boolean vectorsEnabled() {
                return vectorsEnabled;
            }

            @Override
            public void signal(int vector) {
                signalled.add(vector);
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
        };
    }

    /** The guest moves the registers. */
    void place(long base) {
        remove();
        PciFunction function = function();
        var bar = function.bars().get(0);
        claims.add(bus.claimMmio(GuestAddress.of(base), bar.size(), bar.registers(), function.name()));
        function.placed(0, GuestAddress.of(base));
    }

    /** The guest disables the registers. */
    void remove() {
        if (!claims.isEmpty()) {
            function().removed(0);
            claims.removeLast().close();
        }
    }

    PciFunction function() {
        return functions.getFirst();
    }

    /** Finds the capability of a type: the driver reads {@code cfg_type}, the fourth byte. */
    PciCapability capability(int type) {
        return capabilities.stream()
                .filter(each -> each.id() == PciCapability.VENDOR_SPECIFIC
                        && (each.registers().read(1, 1) & 0xFF) == type)
                .findFirst()
                .orElseThrow(() -> new AssertionError("no capability of type " + type));
    }

    boolean hasCapability(int type) {
        return capabilities.stream().anyMatch(each -> (each.registers().read(1, 1) & 0xFF) == type);
    }

    private final class Pin implements InterruptLine {
        @Override
        public int gsi() {
            return 17;
        }

        @Override
        public void raise() {
            pinHigh = true;
        }

        @Override
        public void lower() {
            pinHigh = false;
        }
    }
}
