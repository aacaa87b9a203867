package io.github.jkvm.testkit.virtio;

import io.github.jkvm.Device;
import io.github.jkvm.DeviceState;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import java.util.Collection;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A guest with a driver for one virtio device, which is attached to a machine without processors. The device is any {@link Device} that speaks
 * virtio over MMIO, or plugs a virtio function into the PCI bus; the driver takes what it finds.
 *
 * <pre>{@code
 * try (var driver = VirtioDriver.attach(new VirtioMmio(device))) {
 *     driver.start();
 *     byte[] answer = driver.send(0, Chain.of().readable(1, 2, 3).writable(8));
 *     // or, step by step
 *     Buffer room = driver.buffers().writable(8);
 *     int id = driver.queue(0).add(driver.buffers().readable((byte) 1), room);
 *     driver.kick(0);
 *     Used used = driver.await(0, id);
 *     byte[] written = driver.buffers().bytes(room);
 * }
 * }</pre>
 *
 * <p>What the device does happens on the test's thread, in {@link #send}, {@link #kick}, {@link #run}, {@link #await} and
 * {@link ManualEventLoop#runUntil}. What its code throws there comes out of these methods.
 *
 * <p>Memory is {@link #MEMORY_BYTES} at address 0, unless the test brings its own. Queue i has its rings at 0x10000 * (i + 1) and its indirect
 * tables behind them; {@link #buffers} come from {@link #BUFFERS} on. The driver uses up to {@link #MOST_QUEUES} queues of up to
 * {@link #QUEUE_SIZE} descriptors.
 */
public final class VirtioDriver implements AutoCloseable {
    /** Size of the guest's memory in bytes. */
    public static final long MEMORY_BYTES = 16 << 20;

    /** Guest-physical address where buffers begin. */
    public static final long BUFFERS = 0x20_0000;

    /** Greatest size of a queue that the driver asks for, in descriptors. */
    public static final int QUEUE_SIZE = 64;

    /** How many queues of a device the driver uses. */
    public static final int MOST_QUEUES = 31;

    private static final long QUEUE_SPACE = 0x1_0000;
    private static final long TABLES_OFFSET = QUEUE_SPACE / 2;

    private final Device device;
    private final TestBus bus;
    private final GuestBuffers buffers;
    private final DriverTransport transport;
    private final TreeMap<Integer, DriverQueue> queues = new TreeMap<>();

    private VirtioDriver(Device device, TestBus bus, @Nullable GuestBuffers buffers) {
        this.device = device;
        this.bus = bus;
        this.buffers = buffers != null ? buffers : new GuestBuffers(bus.memory(), BUFFERS, MEMORY_BYTES - BUFFERS);
        device.attach(bus);
        if (bus.pci().isPlugged()) {
            transport = new PciTransport(bus);
        } else {
            transport = new MmioTransport(
                    bus,
                    bus.firstRegister()
                            .orElseThrow(() -> new IllegalArgumentException("device " + device.name()
                                    + " has claimed no registers; attach it in a transport, virtio over MMIO or PCI")));
        }
    }

    /**
     * Attaches a device to a guest, and touches nothing of it.
     *
     * @param device the device in its transport, closed with this
     * @return the guest
     * @throws IllegalArgumentException if the device claims no registers
     */
    public static VirtioDriver attach(Device device) {
        return attach(device, MemoryRegion.onHeap(GuestAddress.ZERO, MEMORY_BYTES));
    }

    /**
     * Attaches a device to a guest with memory of the test's making.
     *
     * @param device the device in its transport, closed with this
     * @param memory {@link #MEMORY_BYTES} at address 0
     * @return the guest
     * @throws IllegalArgumentException if the device claims no registers
     */
    public static VirtioDriver attach(Device device, MemoryRegion memory) {
        return attach(device, new TestBus(GuestMemory.of(memory), new ManualEventLoop()));
    }

    /**
     * Attaches a device to a machine of the test's making.
     *
     * @param device the device in its transport, closed with this
     * @param bus the machine, whose memory has {@link #MEMORY_BYTES} at address 0
     * @return the guest
     * @throws IllegalArgumentException if the device claims no registers
     */
    public static VirtioDriver attach(Device device, TestBus bus) {
        return new VirtioDriver(device, bus, null);
    }

    /**
     * Starts the driver with all that the device offers.
     *
     * @throws AssertionError if there is no virtio device, or it does not accept its own offer
     */
    public void start() {
        start(offered());
    }

    /**
     * Starts the driver with some features, all queues in use (virtio 1.2, 3.1.1).
     *
     * @param features the feature bits to accept
     * @throws AssertionError if there is no virtio device, or it does not accept the features
     */
    public void start(long features) {
        transport.check();
        negotiate(features);
        if ((status() & DeviceStatus.FEATURES_OK) == 0) {
            throw new AssertionError("the device does not accept features 0x" + Long.toHexString(features)
                    + "; it offers 0x" + Long.toHexString(offered()));
        }
        queues.clear();
        transport.setUpInterrupts();
        for (int i = 0; i < MOST_QUEUES && transport.maxQueueSize(i) != 0; i++) {
            setUp(i, features);
        }
        ready();
    }

    /**
     * Resets the device, and goes as far as asking it to accept features: steps 1 to 5 of virtio 1.2, 3.1.1. Whether it does is in
     * {@link #status}.
     *
     * @param features the feature bits
     */
    public void negotiate(long features) {
        transport.setStatus(0);
        transport.setStatus(DeviceStatus.ACKNOWLEDGE);
        transport.setStatus(DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER);
        transport.accept(features);
        transport.setStatus(DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK);
    }

    /**
     * Puts a queue into use: step 7 of virtio 1.2, 3.1.1, or after a reset of the queue.
     *
     * @param queue its index, below {@link #MOST_QUEUES}
     * @param features what was negotiated
     * @return the driver's side of it, also {@link #queue}
     */
    public DriverQueue setUp(int queue, long features) {
        int size = Math.min(transport.maxQueueSize(queue), QUEUE_SIZE);
        long base = QUEUE_SPACE * (queue + 1);
        memory().fill(base, QUEUE_SPACE, (byte) 0);
        QueueAreas areas = QueueAreas.at(base, size);
        transport.setUpQueue(queue, areas);
        DriverQueue driver = DriverQueue.of(memory(), areas, features).indirectTablesAt(base + TABLES_OFFSET);
        queues.put(queue, driver);
        return driver;
    }

    /** Tells the device that the driver is ready, and has it work: step 8 of virtio 1.2, 3.1.1. */
    public void ready() {
        transport.setStatus(
                DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK);
        run();
    }

    /** Resets the device as a driver does, by its status (virtio 1.2, 2.1). */
    public void reset() {
        transport.setStatus(0);
        run();
    }

    /**
     * Returns what the device offers.
     *
     * @return the feature bits, 0 to 63
     */
    public long offered() {
        return transport.offered();
    }

    /**
     * Returns the device's status.
     *
     * @return the sum of {@link DeviceStatus} bits
     */
    public int status() {
        return transport.status();
    }

    /**
     * Tells whether the device asks for a reset, as it should when the driver breaks a rule (virtio 1.2, 2.1.2).
     *
     * @return true if it does
     */
    public boolean needsReset() {
        return (status() & DeviceStatus.NEEDS_RESET) != 0;
    }

    /**
     * Returns how often the device has interrupted the guest.
     *
     * @return the count
     */
    public int interrupts() {
        return transport.interrupts();
    }

    /**
     * Reads a field of the configuration space.
     *
     * @param offset its offset
     * @param size its size in bytes: 1, 2, 4 or 8
     * @return the value, zero-extended
     */
    public long config(int offset, int size) {
        return transport.config(offset, size);
    }

    /**
     * Writes a field of the configuration space, and has the device work.
     *
     * @param offset its offset
     * @param size its size in bytes: 1, 2, 4 or 8
     * @param value the value
     */
    public void setConfig(int offset, int size, long value) {
        transport.setConfig(offset, size, value);
        run();
    }

    /**
     * Returns the driver's side of a queue.
     *
     * @param index the queue's index
     * @return the queue
     * @throws IllegalArgumentException if the driver has no such queue in use
     */
    public DriverQueue queue(int index) {
        DriverQueue queue = queues.get(index);
        if (queue == null) {
            throw new IllegalArgumentException("queue " + index + " is not in use; in use are " + queues.keySet()
                    + ", after start() those that the device has");
        }
        return queue;
    }

    /**
     * Returns the queues that the driver has in use.
     *
     * @return the queues, by index
     */
    public Collection<DriverQueue> queues() {
        return queues.values();
    }

    /**
     * Returns where buffers come from.
     *
     * @return the buffers
     */
    public GuestBuffers buffers() {
        return buffers;
    }

    /**
     * Notifies the device of a queue, whether it wants that or not, and has it work.
     *
     * @param queue index of the queue
     */
    public void kick(int queue) {
        transport.notify(queue);
        run();
    }

    /** Has the device do what it has to do now. */
    public void run() {
        loop().run();
    }

    /**
     * Puts a chain into memory, makes it available, and notifies the device.
     *
     * @param queue index of the queue
     * @param chain the chain
     * @return the chain in memory
     */
    public PlacedChain post(int queue, Chain chain) {
        PlacedChain placed = chain.in(buffers);
        queue(queue).add(placed);
        kick(queue);
        return placed;
    }

    /**
     * Sends a chain, and waits until the device has used it.
     *
     * @param queue index of the queue
     * @param chain the chain
     * @return what the device wrote: as many bytes as it says
     * @throws AssertionError if it uses another chain first, asks for a reset, or does not use the chain within 20 s
     */
    public byte[] send(int queue, Chain chain) {
        PlacedChain placed = chain.in(buffers);
        int id = queue(queue).add(placed);
        kick(queue);
        return placed.written(await(queue, id).length());
    }

    /**
     * Makes a chain of buffers available, notifies the device, and waits until the device has used it.
     *
     * @param queue index of the queue
     * @param buffers the buffers
     * @return what the device says of it
     * @throws AssertionError if it uses another chain first, asks for a reset, or does not use the chain within 20 s
     */
    public Used request(int queue, Buffer... buffers) {
        int id = queue(queue).add(buffers);
        kick(queue);
        return await(queue, id);
    }

    /**
     * Waits until the device has used a chain, which must be the next one.
     *
     * @param queue index of the queue
     * @param id what names the chain
     * @return what the device says of it
     * @throws AssertionError if it uses another chain first, asks for a reset, or does not use the chain within 20 s
     */
    public Used await(int queue, int id) {
        var found = new Object() {
            Optional<Used> used = Optional.empty();
        };
        loop().runUntil(() -> {
            found.used = queue(queue).takeUsed();
            return found.used.isPresent() || needsReset();
        });
        Used used = found.used.orElseThrow(() -> new AssertionError("the device asks for a reset (status 0x"
                + Integer.toHexString(status()) + ") and has not used chain " + id + " of queue " + queue));
        if (used.id() != id) {
            throw new AssertionError(
                    "the device used chain " + used.id() + " of queue " + queue + " before chain " + id);
        }
        return used;
    }

    /**
     * Saves the device as a machine does.
     *
     * @return its state
     */
    public DeviceState save() {
        var state = new DeviceState(1);
        device.save(state);
        device.resume();
        return state;
    }

    /**
     * Gives the guest another device, which takes over the state of the first: the driver goes on with it as if nothing had happened.
     *
     * @param other the other device in its transport, of the same kind
     * @param state what {@link #save} returned
     * @return the guest with that device
     */
    public VirtioDriver restoreInto(Device other, DeviceState state) {
        return restoreInto(other, state, new TestBus(memory(), new ManualEventLoop()));
    }

    /**
     * Gives the guest another device on a machine of the test's making.
     *
     * @param other the other device in its transport, of the same kind
     * @param state what {@link #save} returned
     * @param machine the machine, with the memory of this one
     * @return the guest with that device
     */
    public VirtioDriver restoreInto(Device other, DeviceState state, TestBus machine) {
        var guest = new VirtioDriver(other, machine, buffers);
        other.restore(state);
        guest.queues.putAll(queues);
        guest.run();
        return guest;
    }

    /**
     * Returns the device.
     *
     * @return what was attached
     */
    public Device device() {
        return device;
    }

    /**
     * Returns the machine.
     *
     * @return the bus that the device is attached to
     */
    public TestBus bus() {
        return bus;
    }

    /**
     * Returns the thread of the device, which is the test's.
     *
     * @return the loop
     */
    public ManualEventLoop loop() {
        return bus.eventLoop();
    }

    /**
     * Returns the guest's memory.
     *
     * @return the memory
     */
    public GuestMemory memory() {
        return bus.memory();
    }

    /**
     * Returns the registers that driver and device talk by.
     *
     * @return the transport
     */
    public DriverTransport transport() {
        return transport;
    }

    /**
     * Returns the registers of a device over MMIO.
     *
     * @return the transport
     * @throws IllegalStateException if the device is on the PCI bus
     */
    public MmioTransport mmio() {
        if (transport instanceof MmioTransport mmio) {
            return mmio;
        }
        throw new IllegalStateException("device " + device.name() + " is on the PCI bus");
    }

    /**
     * Returns the registers of a device on the PCI bus.
     *
     * @return the transport
     * @throws IllegalStateException if the device is not there
     */
    public PciTransport pci() {
        if (transport instanceof PciTransport pci) {
            return pci;
        }
        throw new IllegalStateException("device " + device.name() + " is not on the PCI bus");
    }

    /** Closes the device as a machine does. */
    @Override
    public void close() {
        device.close();
    }
}
