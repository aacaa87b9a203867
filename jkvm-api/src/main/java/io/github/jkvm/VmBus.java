package io.github.jkvm;

import java.util.Arrays;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/**
 * Connects the exits of a VM's vCPUs to devices: hand it to {@link VCpu#run(ExitHandler)}.
 *
 * <p>Finds the device by binary search over sorted ranges and allocates nothing for an access. Where nothing answers, or an access
 * runs over the end of a range, reads give all ones and writes vanish, as on a PC; {@link #unclaimedAccesses()} counts them. Devices may be
 * added and removed while the guest runs. Safe for use by many threads.
 */
public final class VmBus implements Bus, ExitHandler {
    private static final int PORTS = 0x1_0000;

    private final Vm vm;
    private final EventLoop eventLoop;
    private final LongAdder unclaimed = new LongAdder();
    private volatile @Nullable PlatformSlots slots;
    private volatile @Nullable AddressWindow memoryWindow;
    private volatile @Nullable PciBus pci;
    private volatile Range[] ports = {};
    private volatile Range[] mmio = {};

    /** A claimed range, told apart by identity; the arrays of them are sorted and replaced as a whole. */
    private static final class Range {
        final long first;
        final long last;
        final IoHandler handler;
        final String owner;

        Range(long first, long last, IoHandler handler, String owner) {
            this.first = first;
            this.last = last;
            this.handler = handler;
            this.owner = owner;
        }

        boolean overlaps(Range other) {
            return Long.compareUnsigned(first, other.last) <= 0 && Long.compareUnsigned(other.first, last) <= 0;
        }
    }

    /**
     * Creates a bus with nothing on it.
     *
     * @param vm the VM
     * @param eventLoop where its devices do their work; stays the caller's to close
     */
    public VmBus(Vm vm, EventLoop eventLoop) {
        this.vm = vm;
        this.eventLoop = eventLoop;
    }

    /**
     * Gives the bus places for devices that the guest is told of. Without them, {@link #platformSlot} refuses.
     *
     * @param platformSlots the places
     */
    public void usePlatformSlots(PlatformSlots platformSlots) {
        slots = platformSlots;
    }

    @Override
    public PlatformSlot platformSlot(String hardwareId, long size) {
        PlatformSlots now = slots;
        if (now == null) {
            throw new UnsupportedOperationException(hardwareId
                    + " asks for a place, but this bus has none for platform devices; give it some with VmBus.usePlatformSlots,"
                    + " or give the device a fixed place");
        }
        return now.take(hardwareId, size);
    }

    /**
     * Gives the bus a place for memory of devices. Without one, {@link #mapMemory} refuses.
     *
     * @param window free addresses
     */
    public void useMemoryWindow(AddressWindow window) {
        memoryWindow = window;
    }

    @Override
    public MemoryRegion mapMemory(MemoryBacking backing, long alignment) {
        AddressWindow window = memoryWindow;
        if (window == null) {
            return Bus.super.mapMemory(backing, alignment);
        }
        return vm.addMemory(window.take(backing.size(), alignment), backing);
    }

    @Override
    public GuestMemory memory() {
        return vm.memory();
    }

    @Override
    public InterruptLine interruptLine(int gsi) {
        return vm.interruptLine(gsi);
    }

    @Override
    public Interrupt interrupt(int gsi) {
        return vm.interrupt(gsi);
    }

    @Override
    public MessageInterrupt messageInterrupt() {
        return vm.messageInterrupt();
    }

    /**
     * Gives devices a PCI bus. Without one, {@link #pci()} refuses.
     *
     * @param bus the PCI bus, whose registers are on this bus
     */
    public void usePci(PciBus bus) {
        pci = bus;
    }

    @Override
    public PciBus pci() {
        PciBus now = pci;
        if (now == null) {
            throw new UnsupportedOperationException(
                    "this machine has no PCI bus; give it one with VmBus.usePci, or attach the device"
                            + " to a memory-mapped transport");
        }
        return now;
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match) {
        return vm.doorbell(match);
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match, HostFile event) {
        return vm.doorbell(match, event);
    }

    @Override
    public EventLoop eventLoop() {
        return eventLoop;
    }

    @Override
    public EventLoop createEventLoop(String name) {
        return vm.createEventLoop(name);
    }

    @Override
    public synchronized Claim claimPorts(int first, int count, IoHandler handler, String owner) {
        if (first < 0 || count < 1 || count > PORTS - first) {
            throw new IllegalArgumentException(owner + " claims " + count + " ports from 0x"
                    + Integer.toHexString(first) + "; ports are 0 to 0xffff and the count must be 1 or more");
        }
        Range range = new Range(first, first + count - 1L, handler, owner);
        ports = with(ports, range);
        return () -> {
            synchronized (VmBus.this) {
                ports = without(ports, range);
            }
        };
    }

    @Override
    public synchronized Claim claimMmio(GuestAddress base, long size, IoHandler handler, String owner) {
        long last = base.value() + size - 1;
        if (size < 1 || Long.compareUnsigned(last, base.value()) < 0) {
            throw new IllegalArgumentException(owner + " claims " + size + " bytes at " + base
                    + "; the size must be 1 or more and the range must end below 2^64");
        }
        vm.memory().checkFree(base, size);
        Range range = new Range(base.value(), last, handler, owner);
        mmio = with(mmio, range);
        return () -> {
            synchronized (VmBus.this) {
                mmio = without(mmio, range);
            }
        };
    }

    /**
     * Returns how many accesses found no device.
     *
     * @return the count since the bus was made
     */
    public long unclaimedAccesses() {
        return unclaimed.sum();
    }

    @Override
    public long portIn(int port, int size) {
        Range range = find(ports, port, size);
        return range == null ? openBus() : range.handler.read(port - range.first, size);
    }

    @Override
    public void portOut(int port, int size, long value) {
        Range range = find(ports, port, size);
        if (range == null) {
            unclaimed.increment();
        } else {
            range.handler.write(port - range.first, size, value);
        }
    }

    @Override
    public long mmioRead(long address, int size) {
        Range range = find(mmio, address, size);
        return range == null ? openBus() : range.handler.read(address - range.first, size);
    }

    @Override
    public void mmioWrite(long address, int size, long value) {
        Range range = find(mmio, address, size);
        if (range == null) {
            unclaimed.increment();
        } else {
            range.handler.write(address - range.first, size, value);
        }
    }

    private long openBus() {
        unclaimed.increment();
        return IoHandler.OPEN_BUS;
    }

    private static @Nullable Range find(Range[] ranges, long address, int size) {
        int low = 0;
        int high = ranges.length - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            Range range = ranges[middle];
            if (Long.compareUnsigned(address, range.first) < 0) {
                high = middle - 1;
            } else if (Long.compareUnsigned(address, range.last) > 0) {
                low = middle + 1;
            } else {
                return Long.compareUnsigned(size - 1, range.last - address) <= 0 ? range : null;
            }
        }
        return null;
    }

    private static Range[] with(Range[] ranges, Range added) {
        for (Range range : ranges) {
            if (range.overlaps(added)) {
                throw new IllegalArgumentException(added.owner + " claims 0x" + Long.toHexString(added.first) + "..0x"
                        + Long.toHexString(added.last) + ", but " + range.owner + " has 0x"
                        + Long.toHexString(range.first)
                        + "..0x" + Long.toHexString(range.last));
            }
        }
        Range[] next = Arrays.copyOf(ranges, ranges.length + 1);
        next[ranges.length] = added;
        Arrays.sort(next, (a, b) -> Long.compareUnsigned(a.first, b.first));
        return next;
    }

    private static Range[] without(Range[] ranges, Range removed) {
        return Arrays.stream(ranges).filter(range -> range != removed).toArray(Range[]::new);
    }
}
