package io.github.jkvm.virtio.console;

import io.github.jkvm.Bus;
import io.github.jkvm.DeviceState;
import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The console device (virtio 1.2, 5.3): a terminal, and lines for programs of the guest and the host to talk over.
 *
 * <p>{@snippet lang = java :
 * ConsoleDevice console = ConsoleDevice.builder("console0").console().data("org.example.agent").build();
 * Machine machine = Machine.builder(hypervisor).device(new VirtioMmio(console)).build();
 * ConsolePort agent = console.port(1);
 * agent.outputStream().write("hello\n".getBytes(UTF_8));
 * }
 *
 * <p>Linux makes {@code /dev/hvc0} of the first console, and {@code /dev/vport0p1} of a port for data, with its name in {@code
 * /sys/class/virtio-ports/vport0p1/name}. A device of one console and nothing else offers no {@code VIRTIO_CONSOLE_F_MULTIPORT}, so that the
 * simplest driver can use it.
 *
 * <p>Each port keeps a bounded number of bytes in either direction, however much the guest writes. Counters: {@code bytesFromGuest},
 * {@code bytesToGuest}, {@code bytesDropped} (of the guest's, with no one to read them), {@code controlMessages} of the driver and the
 * {@code badControlMessages} among them, {@code shortBuffers} without room for what the driver was to be told.
 *
 * <p>The order of the two numbers in a message of a port's new size is that of virtio 1.2, columns first. Linux has read them the other way
 * round for many years (until its commit 5326ab737a47), but never those of a device of one console, which are in the configuration space.
 */
public final class ConsoleDevice extends VirtioDevice {
    /** What it is (virtio 1.2, 5.3.1). */
    public static final int DEVICE_ID = 3;

    /** Most ports of one device: as many as other machine monitors give. */
    public static final int MOST_PORTS = 31;

    /** Longest name of a port in bytes of UTF-8. */
    public static final int MAX_NAME_BYTES = 255;

    /** {@code VIRTIO_CONSOLE_F_SIZE}: the size of the first console is in the configuration space. */
    private static final int SIZE = 0;

    /** {@code VIRTIO_CONSOLE_F_MULTIPORT}: there are control queues. */
    private static final int MULTIPORT = 1;

    /** {@code VIRTIO_CONSOLE_F_EMERG_WRITE}: a driver can print before it is ready. */
    private static final int EMERGENCY_WRITE = 2;

    private static final int CONFIG_BYTES = 12;
    private static final int COLUMNS = 0;
    private static final int ROWS = 2;
    private static final int MAX_PORTS = 4;
    private static final int EMERGENCY = 8;

    private static final int CONTROL_RECEIVE = 2;
    private static final int CONTROL_TRANSMIT = 3;
    private static final int QUEUE_SIZE = 256;

    private final PortSlot[] slots;
    private final PortControl control;
    private final int bufferSize;
    private final boolean multiport;
    private final boolean consoleFirst;
    private final Counter fromGuest = counter("bytesFromGuest");
    private final Counter dropped = counter("bytesDropped");
    private final PortTraffic traffic = new PortTraffic(fromGuest, counter("bytesToGuest"), dropped);
    private boolean closed;

    ConsoleDevice(ConsoleBuilder builder) {
        super(
                builder.name(),
                DEVICE_ID,
                new ConfigSpace(CONFIG_BYTES)
                        .setInt(MAX_PORTS, builder.maxPorts())
                        .writable(EMERGENCY, Integer.BYTES),
                queueSizes(builder));
        multiport = builder.multiport();
        consoleFirst = builder.consoleFirst();
        bufferSize = builder.bufferSize();
        slots = new PortSlot[builder.maxPorts()];
        Arrays.setAll(slots, PortSlot::new);
        control = new PortControl(
                slots, this::pump, counter("controlMessages"), counter("badControlMessages"), counter("shortBuffers"));
        List<ConsoleBuilder.Spec> specs = builder.ports();
        for (int i = 0; i < specs.size(); i++) {
            slots[i].setPort(
                    new ConsolePort(this, i, specs.get(i).name(), specs.get(i).kind(), bufferSize));
        }
        TerminalSize size = builder.size();
        ConsolePort first = slots[0].port();
        if (size != null && first != null) {
            first.resize(size);
        }
    }

    private static int[] queueSizes(ConsoleBuilder builder) {
        var sizes = new int[builder.multiport() ? 2 * (builder.maxPorts() + 1) : 2];
        Arrays.fill(sizes, QUEUE_SIZE);
        return sizes;
    }

    /**
     * Begins a device.
     *
     * @param name a name, unique in its machine, such as {@code console0}
     * @return a builder without ports
     */
    public static ConsoleBuilder builder(String name) {
        return new ConsoleBuilder(name);
    }

    /**
     * Returns a port.
     *
     * @param id its number, from 0
     * @return the port
     * @throws IllegalArgumentException if there is none
     */
    public ConsolePort port(int id) {
        ConsolePort port = id >= 0 && id < slots.length ? slots[id].port() : null;
        if (port == null) {
            throw new IllegalArgumentException(name() + " has no port " + id + "; it has " + ports());
        }
        return port;
    }

    /**
     * Returns the ports that are there now.
     *
     * @return an immutable copy, by their numbers
     */
    public List<ConsolePort> ports() {
        List<ConsolePort> ports = new ArrayList<>();
        for (PortSlot slot : slots) {
            ConsolePort port = slot.port();
            if (port != null) {
                ports.add(port);
            }
        }
        return List.copyOf(ports);
    }

    /**
     * Adds a port for data, while the guest runs or before.
     *
     * @param portName the name that the guest finds it by, at most {@value #MAX_NAME_BYTES} bytes of UTF-8; may be empty
     * @return the port
     * @throws IllegalArgumentException if the name is too long
     * @throws IllegalStateException if no place is left or the device is closed
     */
    public ConsolePort addPort(String portName) {
        ConsoleBuilder.checkName(portName);
        ConsolePort port;
        PortSlot slot;
        synchronized (slots) {
            slot = closed ? null : freeSlot();
            if (slot == null) {
                throw new IllegalStateException(name() + " has no place left for a port: it is closed or has "
                        + slots.length + " already; make it with a larger maxPorts");
            }
            port = new ConsolePort(this, slot.id(), portName, PortKind.DATA, bufferSize);
            slot.setPort(port);
        }
        runOnLoop(() -> changed(slot));
        return port;
    }

    private @Nullable PortSlot freeSlot() {
        for (PortSlot slot : slots) {
            if (slot.port() == null) {
                return slot;
            }
        }
        return null;
    }

    /* What ports ask for, on any thread. */

    void wake(ConsolePort port) {
        runOnLoop(() -> pump(port));
    }

    void resized(ConsolePort port, TerminalSize size) {
        if (port.id() == 0) {
            config().setShort(COLUMNS, size.columns()).setShort(ROWS, size.rows());
        }
        runOnLoop(() -> {
            if (port.id() == 0 && hasFeature(SIZE)) {
                configChanged();
            }
            PortSlot slot = slots[port.id()];
            if (slot.isReady() && port.equals(slot.port())) {
                slot.want(ControlEvent.RESIZE);
                sendControl();
            }
        });
    }

    void remove(ConsolePort port) {
        if (!multiport) {
            throw new IllegalStateException(
                    port + " can't be taken out: " + name() + " was made with this one port only");
        }
        PortSlot slot = slots[port.id()];
        boolean present;
        synchronized (slots) {
            present = port.equals(slot.port());
            if (present) {
                slot.setPort(null);
            }
        }
        if (present) {
            port.end();
            runOnLoop(() -> changed(slot));
        }
    }

    private void changed(PortSlot slot) {
        slot.reconcile(control.driverListens());
        sendControl();
    }

    void countDropped(int bytes) {
        dropped.add(bytes);
    }

    EventLoop.Registration watch(EventSource source, IntConsumer action) {
        return loop().onReady(source, action);
    }

    EventLoop.Registration after(Duration delay, Runnable action) {
        return loop().schedule(delay, action);
    }

    /* The device, on the loop. */

    @Override
    protected long features() {
        return Feature.mask(SIZE)
                | (multiport ? Feature.mask(MULTIPORT) : 0)
                | (consoleFirst ? Feature.mask(EMERGENCY_WRITE) : 0);
    }

    @Override
    protected void attached(Bus bus) {
        for (ConsolePort port : ports()) {
            wake(port);
        }
    }

    @Override
    protected void activate() {
        ConsolePort first = slots[0].port();
        if (!hasFeature(MULTIPORT) && first != null) {
            first.setGuestOpen(true);
            if (hasFeature(SIZE) && first.size() != null) {
                // Linux reads the size when it is told of a change, and not in the beginning.
                configChanged();
            }
        }
    }

    @Override
    protected void notified(DeviceQueue queue) {
        int index = queue.index();
        if (index >= CONTROL_RECEIVE && !hasFeature(MULTIPORT)) {
            return;
        }
        switch (index) {
            case CONTROL_TRANSMIT -> {
                queue.serve(control::receive);
                sendControl();
            }
            case CONTROL_RECEIVE -> sendControl();
            default -> portNotified(queue);
        }
    }

    private void portNotified(DeviceQueue queue) {
        int index = queue.index();
        PortSlot slot = slots[portOf(index)];
        ConsolePort port = slot.port();
        if (port != null) {
            pump(port);
        } else if (index % 2 == 1) {
            queue.serve(this::discard);
        }
    }

    private long discard(DescriptorChain unwanted) {
        dropped.add(unwanted.readableBytes());
        return 0;
    }

    private void sendControl() {
        if (isActive() && hasFeature(MULTIPORT)) {
            control.send(queue(CONTROL_RECEIVE));
        }
    }

    /** Where a port's queues begin: the control queues are behind those of the first port (virtio 1.2, 5.3.2). */
    private static int receiveQueue(ConsolePort port) {
        return port.id() == 0 ? 0 : 2 * port.id() + 2;
    }

    private static int portOf(int queue) {
        return queue < CONTROL_RECEIVE ? 0 : queue / 2 - 1;
    }

    /** Moves what can be moved of a port, both ways. */
    private void pump(ConsolePort port) {
        PortSlot slot = slots[port.id()];
        if (!port.equals(slot.port())) {
            return;
        }
        boolean active = isActive() && (port.id() == 0 || hasFeature(MULTIPORT));
        boolean again = active && traffic.fromGuest(queue(receiveQueue(port) + 1), slot, port);
        ConsolePty pty = port.pty();
        if (pty != null) {
            again |= pty.pump() && active;
        }
        if (active) {
            boolean full = port.toGuest().room() == 0;
            again |= traffic.toGuest(queue(receiveQueue(port)), port);
            again |= pty != null && full && port.toGuest().room() > 0;
            if (slot.updateHostOpen(port)) {
                sendControl();
            }
        }
        if (again) {
            wake(port);
        }
    }

    @Override
    protected void configWritten(int offset, int length) {
        ConsolePort first = slots[0].port();
        if (first != null && consoleFirst && offset <= EMERGENCY && offset + length > EMERGENCY) {
            byte character = (byte) config().get(EMERGENCY, Byte.BYTES);
            long put = first.fromGuest().putWith(room -> {
                room.set(ValueLayout.JAVA_BYTE, 0, character);
                return 1;
            });
            (put == 1 ? fromGuest : dropped).increment();
            pump(first);
        }
    }

    @Override
    protected void reset() {
        control.setDriverListens(false);
        for (PortSlot slot : slots) {
            slot.forget();
            ConsolePort port = slot.port();
            if (port != null) {
                port.setGuestOpen(false);
            }
        }
    }

    @Override
    protected void queueStopped(DeviceQueue queue) {
        int index = queue.index();
        if (index % 2 == 1 && index != CONTROL_TRANSMIT) {
            slots[portOf(index)].setSent(0);
        }
    }

    @Override
    protected void save(DeviceState state) {
        state.putNumber("ports", slots.length);
        state.putNumber("driverListens", control.driverListens() ? 1 : 0);
        for (PortSlot slot : slots) {
            slot.save(state);
        }
    }

    @Override
    protected void restore(DeviceState state) {
        state.number("ports", slots.length, slots.length);
        control.setDriverListens(state.number("driverListens", 0, 1) != 0);
        for (PortSlot slot : slots) {
            slot.restore(state, bufferSize, control.driverListens());
        }
        for (ConsolePort port : ports()) {
            TerminalSize size = port.size();
            if (size != null) {
                // The program's word counts, not that of the time when the machine was saved.
                resized(port, size);
            }
            wake(port);
        }
    }

    @Override
    public void close() {
        synchronized (slots) {
            closed = true;
        }
        for (ConsolePort port : ports()) {
            port.end();
        }
    }
}
