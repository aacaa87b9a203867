package io.github.jkvm.virtio;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.PciCapability;
import io.github.jkvm.virtio.queue.QueueFeature;
import io.github.jkvm.virtio.queue.QueueLayout;
import io.github.jkvm.virtio.queue.RingFormat;
import io.github.jkvm.virtio.queue.TestBuffers;
import io.github.jkvm.virtio.queue.TestDriver;
import io.github.jkvm.virtio.queue.TestDriver.Buffer;
import io.github.jkvm.virtio.queue.TestDriver.Used;
import java.util.EnumSet;
import java.util.Set;

/** Drives a device over PCI in the steps of Linux (drivers/virtio/virtio_pci_modern.c). */
final class PciDriver {
    static final int SELECT_DEVICE_FEATURES = 0x00;
    static final int DEVICE_FEATURES = 0x04;
    static final int SELECT_DRIVER_FEATURES = 0x08;
    static final int DRIVER_FEATURES = 0x0C;
    static final int CONFIG_VECTOR = 0x10;
    static final int NUM_QUEUES = 0x12;
    static final int STATUS = 0x14;
    static final int GENERATION = 0x15;
    static final int QUEUE_SELECT = 0x16;
    static final int QUEUE_SIZE = 0x18;
    static final int QUEUE_VECTOR = 0x1A;
    static final int QUEUE_ENABLE = 0x1C;
    static final int QUEUE_NOTIFY_OFF = 0x1E;
    static final int QUEUE_DESC = 0x20;
    static final int QUEUE_DRIVER = 0x28;
    static final int QUEUE_DEVICE = 0x30;
    static final int QUEUE_RESET = 0x3A;
    static final int NO_VECTOR = 0xFFFF;

    static final int COMMON = 1;
    static final int NOTIFY = 2;
    static final int ISR = 3;
    static final int DEVICE = 4;

    private static final long QUEUE_SPACE = 0x1_0000;

    final GuestMemory memory;
    final TestBuffers buffers;
    final ManualEventLoop loop = new ManualEventLoop();
    final FakeBus bus;
    final FakePci pci;
    final VirtioPci transport;
    private long bar = FakePci.BASE;

    PciDriver(VirtioDevice device) {
        this(device, true, GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, GuestDriver.MEMORY_BYTES)));
    }

    /** Attaches a device to a machine with or without doorbells, and with a memory. */
    PciDriver(VirtioDevice device, boolean doorbells, GuestMemory memory) {
        this.memory = memory;
        buffers = new TestBuffers(memory, GuestDriver.BUFFERS, GuestDriver.MEMORY_BYTES - GuestDriver.BUFFERS);
        bus = new FakeBus(memory, loop);
        if (!doorbells) {
            bus.withoutDoorbells();
        }
        pci = bus.pci();
        transport = new VirtioPci(device);
        transport.attach(bus);
    }

    /** Moves the registers. */
    void place(long base) {
        pci.place(base);
        bar = base;
    }

    /** Returns where a structure is, from its capability. */
    long place(int type, int offset) {
        PciCapability capability = pci.capability(type);
        long start = capability.registers().read(6, 4) & 0xFFFF_FFFFL;
        return bar + start + offset;
    }

    long read(int type, int offset, int size) {
        return bus.read(place(type, offset), size);
    }

    void write(int type, int offset, int size, long value) {
        bus.write(place(type, offset), size, value);
    }

    int common(int field, int size) {
        return (int) read(COMMON, field, size);
    }

    void setCommon(int field, int size, long value) {
        write(COMMON, field, size, value);
    }

    int status() {
        return common(STATUS, 1);
    }

    long offered() {
        setCommon(SELECT_DEVICE_FEATURES, 4, 0);
        long low = Integer.toUnsignedLong(common(DEVICE_FEATURES, 4));
        setCommon(SELECT_DEVICE_FEATURES, 4, 1);
        return low | Integer.toUnsignedLong(common(DEVICE_FEATURES, 4)) << Integer.SIZE;
    }

    /** Resets the device and has it accept features: status 11. */
    void negotiate(long features) {
        setCommon(STATUS, 1, 0);
        setCommon(STATUS, 1, 1);
        setCommon(STATUS, 1, 3);
        setCommon(SELECT_DRIVER_FEATURES, 4, 0);
        setCommon(DRIVER_FEATURES, 4, features & 0xFFFF_FFFFL);
        setCommon(SELECT_DRIVER_FEATURES, 4, 1);
        setCommon(DRIVER_FEATURES, 4, features >>> Integer.SIZE);
        setCommon(STATUS, 1, 11);
    }

    /** Puts a queue into use with a vector. */
    TestDriver setUp(int queue, long features, int vector) {
        setCommon(QUEUE_SELECT, 2, queue);
        int size = common(QUEUE_SIZE, 2);
        long base = QUEUE_SPACE * (queue + 1);
        memory.fill(base, QUEUE_SPACE, (byte) 0);
        QueueLayout layout = TestDriver.layout(base, size);
        setCommon(QUEUE_SIZE, 2, size);
        setAddress(QUEUE_DESC, layout.descriptors());
        setAddress(QUEUE_DRIVER, layout.driver());
        setAddress(QUEUE_DEVICE, layout.device());
        setCommon(QUEUE_VECTOR, 2, vector);
        setCommon(QUEUE_ENABLE, 2, 1);
        RingFormat format = (features & Feature.mask(Feature.PACKED_RING)) != 0 ? RingFormat.PACKED : RingFormat.SPLIT;
        Set<QueueFeature> used = EnumSet.noneOf(QueueFeature.class);
        for (QueueFeature feature : QueueFeature.values()) {
            if ((features & Feature.mask(feature.bit())) != 0) {
                used.add(feature);
            }
        }
        return TestDriver.of(format, memory, layout, used).tablesAt(base + QUEUE_SPACE / 2);
    }

    private void setAddress(int field, long address) {
        setCommon(field, 4, address & 0xFFFF_FFFFL);
        setCommon(field + 4, 4, address >>> Integer.SIZE);
    }

    void ready() {
        setCommon(STATUS, 1, 15);
        loop.run();
    }

    /** Notifies as Linux does: the queue's number, at the queue's place. */
    void kick(int queue) {
        setCommon(QUEUE_SELECT, 2, queue);
        long multiplier = pci.capability(NOTIFY).registers().read(14, 4) & 0xFFFF_FFFFL;
        write(NOTIFY, (int) (common(QUEUE_NOTIFY_OFF, 2) * multiplier), 2, queue);
        loop.run();
    }

    Used request(int queue, TestDriver driver, Buffer... chain) {
        driver.add(chain);
        kick(queue);
        return driver.takeUsed().orElseThrow(() -> new AssertionError("the chain did not come back"));
    }
}
