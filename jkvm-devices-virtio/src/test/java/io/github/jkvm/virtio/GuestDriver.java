package io.github.jkvm.virtio;

import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.virtio.queue.QueueFeature;
import io.github.jkvm.virtio.queue.QueueLayout;
import io.github.jkvm.virtio.queue.RingFormat;
import io.github.jkvm.virtio.queue.TestBuffers;
import io.github.jkvm.virtio.queue.TestDriver;
import io.github.jkvm.virtio.queue.TestDriver.Buffer;
import io.github.jkvm.virtio.queue.TestDriver.Used;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A guest with a driver for one device, which is attached over {@link VirtioMmio} to a machine without processors. Tests of devices
 * talk to the device as a kernel's driver would:
 *
 * <pre>{@code
 * var guest = GuestDriver.start(device, format); // RingFormat.SPLIT or PACKED
 * Buffer answer = guest.buffers().writable(8);
 * Used used = guest.request(0, guest.buffers().readable(1, 2, 3), answer);
 * assertThat(guest.buffers().bytes(answer)).containsExactly(...);
 * }</pre>
 *
 * <p>Memory is 16 MiB on the heap. Queue i has its ring at 0x10000 * (i + 1) and room for indirect tables behind it; buffers come from
 * {@link #BUFFERS} on. Up to 31 queues. What the device does happens in {@link #kick}, {@link #run} and {@code loop().runUntil}.
 */
public final class GuestDriver {
    /** Size of the guest's memory in bytes. */
    public static final long MEMORY_BYTES = 16 << 20;

    /** Where buffers begin. */
    public static final long BUFFERS = 0x20_0000;

    /** Greatest size of a queue that the driver asks for. */
    private static final int QUEUE_SIZE = 64;

    private static final long QUEUE_SPACE = 0x1_0000;
    private static final int MOST_QUEUES = 31;

    private static final int ACKNOWLEDGE = 1;
    private static final int DRIVER = 2;
    private static final int DRIVER_OK = 4;
    private static final int FEATURES_OK = 8;

    private final GuestMemory memory;
    private final TestBuffers buffers;
    private final ManualEventLoop loop = new ManualEventLoop();
    private final FakeBus bus;
    private final VirtioMmio transport;
    private final List<TestDriver> queues = new ArrayList<>();

    private GuestDriver(VirtioDevice device, GuestMemory memory, TestBuffers buffers) {
        this.memory = memory;
        this.buffers = buffers;
        bus = new FakeBus(memory, loop);
        transport = new VirtioMmio(device);
        transport.attach(bus);
    }

    /** Attaches a device and touches nothing of it. */
    public static GuestDriver attach(VirtioDevice device) {
        GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, MEMORY_BYTES));
        return new GuestDriver(device, memory, new TestBuffers(memory, BUFFERS, MEMORY_BYTES - BUFFERS));
    }

    /** Attaches a device to a guest with memory of the test's making, of {@link #MEMORY_BYTES} at address 0. */
    public static GuestDriver attach(VirtioDevice device, MemoryRegion region) {
        GuestMemory memory = GuestMemory.of(region);
        return new GuestDriver(device, memory, new TestBuffers(memory, BUFFERS, MEMORY_BYTES - BUFFERS));
    }

    /** Attaches a device and starts its driver, with all features that it offers and rings of a format. */
    public static GuestDriver start(VirtioDevice device, RingFormat format) {
        if (format == RingFormat.PACKED) {
            device.offerPackedRings();
        }
        GuestDriver guest = attach(device);
        guest.start(guest.offered());
        return guest;
    }

    /** Attaches a device and starts its driver with only some of the device's own features. */
    public static GuestDriver start(VirtioDevice device, RingFormat format, long deviceFeatures) {
        if (format == RingFormat.PACKED) {
            device.offerPackedRings();
        }
        GuestDriver guest = attach(device);
        guest.start((guest.offered() & ~Feature.deviceSpecific()) | deviceFeatures);
        return guest;
    }

    /** Starts the driver with these features, all queues in use: virtio 1.2, 3.1.1. */
    public void start(long features) {
        negotiate(features);
        if ((register(0x070) & FEATURES_OK) == 0) {
            throw new AssertionError("the device does not take features 0x" + Long.toHexString(features));
        }
        RingFormat format = (features & Feature.mask(Feature.PACKED_RING)) != 0 ? RingFormat.PACKED : RingFormat.SPLIT;
        Set<QueueFeature> queueFeatures = EnumSet.noneOf(QueueFeature.class);
        for (QueueFeature feature : QueueFeature.values()) {
            if ((features & Feature.mask(feature.bit())) != 0) {
                queueFeatures.add(feature);
            }
        }
        queues.clear();
        for (int i = 0; i < MOST_QUEUES && sizeOf(i) != 0; i++) {
            queues.add(setUp(i, format, queueFeatures));
        }
        setRegister(0x070, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
        run();
    }

    /** Resets the device, and goes as far as asking it to accept features. */
    public void negotiate(long features) {
        setRegister(0x070, 0);
        setRegister(0x070, ACKNOWLEDGE);
        setRegister(0x070, ACKNOWLEDGE | DRIVER);
        for (int word = 0; word < 2; word++) {
            setRegister(0x024, word);
            setRegister(0x020, (int) (features >>> (word * Integer.SIZE)));
        }
        setRegister(0x070, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    }

    private int sizeOf(int queue) {
        setRegister(0x030, queue);
        return register(0x034);
    }

    /** Puts one queue into use as a driver does, and returns its driver's side. */
    public TestDriver setUp(int queue, RingFormat format, Set<QueueFeature> features) {
        int size = Math.min(sizeOf(queue), QUEUE_SIZE);
        long base = QUEUE_SPACE * (queue + 1);
        memory.fill(base, QUEUE_SPACE, (byte) 0);
        QueueLayout layout = TestDriver.layout(base, size);
        setRegister(0x038, size);
        setAddress(0x080, layout.descriptors());
        setAddress(0x090, layout.driver());
        setAddress(0x0A0, layout.device());
        setRegister(0x044, 1);
        return TestDriver.of(format, memory, layout, features).tablesAt(base + QUEUE_SPACE / 2);
    }

    private void setAddress(int offset, long address) {
        setRegister(offset, (int) address);
        setRegister(offset + Integer.BYTES, (int) (address >>> Integer.SIZE));
    }

    /** Reads a register of 32 bits. */
    public int register(int offset) {
        return (int) bus.read(base() + offset, Integer.BYTES);
    }

    /** Writes a register of 32 bits. */
    public void setRegister(int offset, int value) {
        bus.write(base() + offset, Integer.BYTES, Integer.toUnsignedLong(value));
    }

    /** Reads a field of the configuration space. */
    public long config(int offset, int size) {
        return bus.read(base() + 0x100 + offset, size);
    }

    /** Writes a field of the configuration space. */
    public void setConfig(int offset, int size, long value) {
        bus.write(base() + 0x100 + offset, size, value);
        run();
    }

    private long base() {
        return transport.slot().base().value();
    }

    /** Returns what the device offers. */
    public long offered() {
        setRegister(0x014, 0);
        long low = Integer.toUnsignedLong(register(0x010));
        setRegister(0x014, 1);
        return low | Integer.toUnsignedLong(register(0x010)) << Integer.SIZE;
    }

    /** Returns the device's status. */
    public int status() {
        return register(0x070);
    }

    /** Tells whether the device asks for a reset. */
    public boolean needsReset() {
        return (status() & 0x40) != 0;
    }

    /** Returns how many times the device has interrupted the guest. */
    public int interrupts() {
        return bus.signals(transport.slot().gsi());
    }

    /** Returns the driver's side of a queue. */
    public TestDriver queue(int index) {
        return queues.get(index);
    }

    /** Returns how many queues the driver has in use. */
    public int queues() {
        return queues.size();
    }

    /** Returns how many descriptors are free in the queue that has the fewest. */
    public int freeDescriptors() {
        return queues.stream().mapToInt(TestDriver::freeDescriptors).min().orElse(Integer.MAX_VALUE);
    }

    /** Returns where buffers come from. */
    public TestBuffers buffers() {
        return buffers;
    }

    /** Notifies the device of a queue, whether it wants that or not, and has it work. */
    public void kick(int queue) {
        setRegister(0x050, queue);
        run();
    }

    /** Has the device do what it has to do now. */
    public void run() {
        loop.run();
    }

    /** Makes a chain available, notifies the device, and waits for the chain to come back. */
    public Used request(int queue, Buffer... chain) {
        int head = queue(queue).add(chain);
        kick(queue);
        return await(queue, head);
    }

    /** Waits for a chain to come back, which must be the next one. */
    public Used await(int queue, int head) {
        var used = new AtomicReference<Used>();
        loop.runUntil(() -> {
            queue(queue).takeUsed().ifPresent(used::set);
            return used.get() != null;
        });
        if (used.get().head() != head) {
            throw new AssertionError("chain " + used.get().head() + " came back before chain " + head);
        }
        return used.get();
    }

    /** Saves the device as a machine does. */
    public DeviceState save() {
        var state = new DeviceState(1);
        transport.save(state);
        return state;
    }

    /** Gives the guest another device, which takes over the state of the first: the driver goes on with it as if nothing had happened. */
    public GuestDriver restoreInto(VirtioDevice device, DeviceState state) {
        if (!queues.isEmpty() && (offered() & Feature.mask(Feature.PACKED_RING)) != 0) {
            device.offerPackedRings();
        }
        var guest = new GuestDriver(device, memory, buffers);
        guest.transport.restore(state);
        guest.queues.addAll(queues);
        guest.run();
        return guest;
    }

    /** Returns the machine. */
    public FakeBus bus() {
        return bus;
    }

    /** Returns the loop, whose thread is the test's. */
    public ManualEventLoop loop() {
        return loop;
    }

    /** Returns the guest's memory. */
    public GuestMemory memory() {
        return memory;
    }

    /** Returns the transport. */
    public VirtioMmio transport() {
        return transport;
    }

    /** Closes the device as a machine does. */
    public void close() {
        transport.close();
    }
}
