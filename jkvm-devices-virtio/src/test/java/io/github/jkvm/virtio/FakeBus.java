package io.github.jkvm.virtio;

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
import io.github.jkvm.kvm.ffi.EventFd;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** A machine without processors: memory on the heap, registers that a test reads and writes, interrupts that are counted. */
public final class FakeBus implements Bus {
    private final GuestMemory memory;
    private final ManualEventLoop loop;
    private final PlatformSlots slots =
            new PlatformSlots(GuestAddress.of(0xFEB0_0000L), 0x10_0000, List.of(20, 21, 22, 23));
    private final TreeMap<Long, IoHandler> mmio = new TreeMap<>();
    private final FakePci pci = new FakePci(this);
    private final Map<Integer, Integer> signals = new HashMap<>();
    private final List<Bell> bells = new ArrayList<>();
    private final AddressWindow deviceMemory = new AddressWindow(GuestAddress.of(1L << 38), 1L << 30);
    private boolean doorbells = true;

    /** Creates a machine. */
    public FakeBus(GuestMemory memory, ManualEventLoop loop) {
        this.memory = memory;
        this.loop = loop;
    }

    /** A host without ioeventfd: notifications reach the registers. */
    public FakeBus withoutDoorbells() {
        doorbells = false;
        return this;
    }

    /** A doorbell rung by {@link FakeBus#write}. */
    static final class Bell implements Doorbell {
        private final FakeBus bus;
        private final Match match;
        private @Nullable Runnable action;
        private @Nullable EventFd event;

        Bell(FakeBus bus, Match match) {
            this.bus = bus;
            this.match = match;
        }

        EventLoop.Registration register(Runnable code) {
            action = code;
            return () -> action = null;
        }

        @Override
        public Match match() {
            return match;
        }

        @Override
        public boolean poll() {
            return false;
        }

        @Override
        public void close() {
            bus.bells.remove(this);
        }
    }

    /** The guest reads a register. */
    public long read(long address, int size) {
        var entry = mmio.floorEntry(address);
        long value = entry.getValue().read(address - entry.getKey(), size);
        return size == Long.BYTES ? value : value & ((1L << (size * Byte.SIZE)) - 1);
    }

    /** The guest writes a register, or rings a doorbell there. */
    public void write(long address, int size, long value) {
        for (Bell bell : bells) {
            Doorbell.Match match = bell.match();
            Long only = match.value();
            if (match.address() == address
                    && (match.length() == 0 || match.length() == size)
                    && (only == null || only == value)) {
                if (bell.event != null) {
                    bell.event.signal();
                }
                Runnable code = bell.action;
                if (code != null) {
                    loop.execute(code);
                }
                return;
            }
        }
        var entry = mmio.floorEntry(address);
        entry.getValue().write(address - entry.getKey(), size, value);
    }

    /** How many times an interrupt was signalled. */
    public int signals(int gsi) {
        return signals.getOrDefault(gsi, 0);
    }

    /** How many ranges are claimed and doorbells are there. */
    public int held() {
        return mmio.size() + bells.size();
    }

    @Override
    public GuestMemory memory() {
        return memory;
    }

    @Override
    public Claim claimPorts(int first, int count, IoHandler handler, String owner) {
        throw new UnsupportedOperationException();
    }

    @Override
    public Claim claimMmio(GuestAddress base, long size, IoHandler handler, String owner) {
        mmio.put(base.value(), handler);
        return () -> mmio.remove(base.value());
    }

    @Override
    public InterruptLine interruptLine(int gsi) {
        throw new UnsupportedOperationException();
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

    @Override
    public MessageInterrupt messageInterrupt() {
        throw new UnsupportedOperationException();
    }

    @Override
    public FakePci pci() {
        return pci;
    }

    @Override
    public Doorbell doorbell(Doorbell.Match match) {
        if (!doorbells) {
            throw new UnsupportedCapabilityException(Capability.IOEVENTFD, "this host has none");
        }
        var bell = new Bell(this, match);
        bells.add(bell);
        return bell;
    }

    /** A doorbell that signals an event at once. */
    @Override
    public Doorbell doorbell(Doorbell.Match match, HostFile event) {
        Doorbell doorbell = doorbell(match);
        EventFd signalled = EventFd.borrow((OwnedFd) event);
        ((Bell) doorbell).event = signalled;
        return doorbell;
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
        var segment = MemorySegment.ofArray(new long[(int) (backing.size() / Long.BYTES)]);
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
    public EventLoop eventLoop() {
        return loop;
    }

    /** The same loop, so that tests go on step by step. */
    @Override
    public EventLoop createEventLoop(String name) {
        return loop.shared();
    }
}
