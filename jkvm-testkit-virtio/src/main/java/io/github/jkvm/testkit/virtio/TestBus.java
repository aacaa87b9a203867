package io.github.jkvm.testkit.virtio;

import io.github.jkvm.AddressWindow;
import io.github.jkvm.Bus;
import io.github.jkvm.Capability;
import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HostFile;
import io.github.jkvm.HostPages;
import io.github.jkvm.Interrupt;
import io.github.jkvm.InterruptLine;
import io.github.jkvm.IoHandler;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.PlatformSlot;
import io.github.jkvm.PlatformSlots;
import io.github.jkvm.UnsupportedCapabilityException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A machine without processors that a device is attached to: registers that a test reads and writes, interrupts that are counted, doorbells, a
 * PCI bus with one slot, memory of devices on the heap. It has no I/O ports.
 *
 * <p>{@link VirtioDriver} makes one. A test makes it itself to take something from the machine, such as {@linkplain #withoutDoorbells
 * doorbells}.
 */
public final class TestBus implements Bus {
    private static final GuestAddress REGISTERS = GuestAddress.of(0xFEB0_0000L);
    private static final long REGISTERS_SIZE = 0x10_0000;
    private static final List<Integer> GSIS = List.of(20, 21, 22, 23);
    private static final GuestAddress DEVICE_MEMORY = GuestAddress.of(1L << 38);
    private static final long DEVICE_MEMORY_SIZE = 1L << 30;

    private final GuestMemory memory;
    private final ManualEventLoop loop;
    private final PlatformSlots slots = new PlatformSlots(REGISTERS, REGISTERS_SIZE, GSIS);
    private final TreeMap<Long, Range> mmio = new TreeMap<>();
    private final TestPciBus pci = new TestPciBus(this);
    private final Map<Integer, Integer> signals = new ConcurrentHashMap<>();
    private final Map<Integer, Boolean> levels = new ConcurrentHashMap<>();
    private final List<TestDoorbell> bells = new CopyOnWriteArrayList<>();
    private final AddressWindow deviceMemory = new AddressWindow(DEVICE_MEMORY, DEVICE_MEMORY_SIZE);
    private boolean doorbells = true;
    private @Nullable Consumer<HostFile> events;

    private record Range(long size, IoHandler handler, String owner) {}

    /**
     * Creates a machine.
     *
     * @param memory the guest's memory
     * @param loop the thread of its devices
     */
    public TestBus(GuestMemory memory, ManualEventLoop loop) {
        this.memory = memory;
        this.loop = loop;
    }

    /**
     * Makes this a host that has no doorbells (KVM: no ioeventfd): notifications reach the registers.
     *
     * @return this
     */
    public TestBus withoutDoorbells() {
        doorbells = false;
        return this;
    }

    /**
     * Makes this a host whose doorbells may signal events of a device's own ({@link Bus#doorbell(Doorbell.Match, HostFile)}).
     *
     * @param signal signals an event, such as by writing to an eventfd
     * @return this
     */
    public TestBus withEvents(Consumer<HostFile> signal) {
        events = signal;
        return this;
    }

    /**
     * The guest reads a register.
     *
     * @param address guest-physical address
     * @param size how many bytes, 1 to 8
     * @return the value, zero-extended
     * @throws IllegalArgumentException if nothing is there
     */
    public long read(long address, int size) {
        Map.Entry<Long, Range> entry = at(address, size);
        long value = entry.getValue().handler().read(address - entry.getKey(), size);
        return size == Long.BYTES ? value : value & ((1L << (size * Byte.SIZE)) - 1);
    }

    /**
     * The guest writes a register, or rings a doorbell that is there.
     *
     * @param address guest-physical address
     * @param size how many bytes, 1 to 8
     * @param value the value, zero-extended
     * @throws IllegalArgumentException if nothing is there
     */
    public void write(long address, int size, long value) {
        for (TestDoorbell bell : bells) {
            if (bell.matches(address, size, value)) {
                bell.ring(loop);
                return;
            }
        }
        Map.Entry<Long, Range> entry = at(address, size);
        entry.getValue().handler().write(address - entry.getKey(), size, value);
    }

    /** Tells whether there are registers. */
    boolean reaches(long address, int size) {
        Map.Entry<Long, Range> entry = mmio.floorEntry(address);
        return entry != null
                && address + size - entry.getKey() <= entry.getValue().size();
    }

    private Map.Entry<Long, Range> at(long address, int size) {
        if (!reaches(address, size)) {
            throw new IllegalArgumentException("no device has registers for " + size + " bytes at 0x"
                    + Long.toHexString(address) + "; there are " + claims());
        }
        return mmio.floorEntry(address);
    }

    private String claims() {
        StringBuilder text = new StringBuilder();
        mmio.forEach((base, range) -> text.append(text.isEmpty() ? "" : ", ")
                .append("0x")
                .append(Long.toHexString(base))
                .append("+0x")
                .append(Long.toHexString(range.size()))
                .append(" of ")
                .append(range.owner()));
        return text.isEmpty() ? "none" : text.toString();
    }

    /** Returns where the first registers are. */
    OptionalLong firstRegister() {
        return mmio.isEmpty() ? OptionalLong.empty() : OptionalLong.of(mmio.firstKey());
    }

    /**
     * Returns how often an interrupt was signalled, or an interrupt line was raised.
     *
     * @param gsi its number
     * @return the count
     */
    public int interrupts(int gsi) {
        return signals.getOrDefault(gsi, 0);
    }

    /**
     * Returns how often the device has interrupted the guest, not counting vectors of the PCI bus.
     *
     * @return the count of all interrupts
     */
    public int interrupts() {
        return signals.values().stream().mapToInt(Integer::intValue).sum();
    }

    /**
     * Tells whether a level-triggered interrupt line is raised.
     *
     * @param gsi its number
     * @return true if it is
     */
    public boolean isRaised(int gsi) {
        return levels.getOrDefault(gsi, false);
    }

    /**
     * Returns how many ranges of registers and doorbells devices hold. A device that is closed holds none.
     *
     * @return the number
     */
    public int held() {
        return mmio.size() + bells.size();
    }

    void remove(TestDoorbell bell) {
        bells.remove(bell);
    }

    @Override
    public GuestMemory memory() {
        return memory;
    }

    /**
     * Refuses.
     *
     * @throws UnsupportedOperationException always
     */
    @Override
    public Claim claimPorts(int first, int count, IoHandler handler, String owner) {
        throw new UnsupportedOperationException(owner + " claims I/O ports; a TestBus has none");
    }

    @Override
    public Claim claimMmio(GuestAddress base, long size, IoHandler handler, String owner) {
        if (size < 1) {
            throw new IllegalArgumentException(
                    "registers of " + owner + " have " + size + " bytes; 1 or more are needed");
        }
        long first = base.value();
        mmio.forEach((start, range) -> {
            if (first < start + range.size() && start < first + size) {
                throw new IllegalArgumentException("registers of " + owner + " at " + base + " overlap those of "
                        + range.owner() + " at 0x" + Long.toHexString(start));
            }
        });
        var range = new Range(size, handler, owner);
        mmio.put(first, range);
        return () -> mmio.remove(first, range);
    }

    @Override
    public InterruptLine interruptLine(int gsi) {
        return new InterruptLine() {
            @Override
            public int gsi() {
                return gsi;
            }

            @Override
            public void raise() {
                if (!Boolean.TRUE.equals(levels.put(gsi, true))) {
                    signals.merge(gsi, 1, Integer::sum);
                }
            }

            @Override
            public void lower() {
                levels.put(gsi, false);
            }
        };
    }

    @Override
    public Interrupt interrupt(int gsi) {
        return new Interrupt() {
            @Override
            public int gsi() {
                return gsi;
            }

            @Override
            public void signal() {
                signals.merge(gsi, 1, Integer::sum);
            }

            @Override
            public void close() {}
        };
    }

    /**
     * Refuses: message interrupts of PCI functions are {@link TestPciBus}'s.
     *
     * @throws UnsupportedOperationException always
     */
    @Override
    public MessageInterrupt messageInterrupt() {
        throw new UnsupportedOperationException("a TestBus has message interrupts for PCI functions only");
    }

    @Override
    public TestPciBus pci() {
        return pci;
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match) {
        return place(match, null);
    }

    /** A doorbell that signals an event at once, if the host {@linkplain #withEvents can}. */
    @Override
    public Doorbell doorbell(Doorbell.Match match, HostFile event) {
        Consumer<HostFile> signal = events;
        if (signal == null) {
            return Bus.super.doorbell(match, event);
        }
        return place(match, () -> signal.accept(event));
    }

    private Doorbell place(Doorbell.Match match, @Nullable Runnable signal) {
        if (!doorbells) {
            throw new UnsupportedCapabilityException(Capability.IOEVENTFD, "this host has none");
        }
        var bell = new TestDoorbell(this, match, signal);
        bells.add(bell);
        return bell;
    }

    @Override
    public PlatformSlot platformSlot(String hardwareId, long size) {
        return slots.take(hardwareId, size);
    }

    /** Memory on the heap, which says that it is that of the file if it is to be shared. A guest that is restored has it already. */
    @Override
    public MemoryRegion mapMemory(MemoryBacking backing, long alignment) {
        GuestAddress base = deviceMemory.take(backing.size(), alignment);
        if (memory.contains(base.value(), backing.size())) {
            return memory.region(base.value(), backing.size());
        }
        var segment = MemorySegment.ofArray(new long[Math.toIntExact(backing.size() / Long.BYTES)]);
        boolean shared = backing instanceof MemoryBacking.File file && file.sharing() == MemoryBacking.Sharing.SHARED;
        var region = MemoryRegion.of(base, segment, MemoryRegion.Access.READ_WRITE, new HostPages() {
            @Override
            public long discard(long offset, long length) {
                return 0;
            }

            @Override
            public Remains remains() {
                return Remains.FILE_CONTENTS;
            }

            @Override
            public Optional<SharedFile> sharedFile() {
                return shared ? Optional.of(new SharedFile(new HostFile() {}, 0)) : Optional.empty();
            }
        });
        memory.add(region);
        return region;
    }

    @Override
    public ManualEventLoop eventLoop() {
        return loop;
    }

    /** The same loop, so that tests go on step by step. */
    @Override
    public EventLoop createEventLoop(String name) {
        return loop.shared();
    }
}
