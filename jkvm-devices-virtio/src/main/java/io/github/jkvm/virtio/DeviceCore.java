package io.github.jkvm.virtio;

import io.github.jkvm.Bus;
import io.github.jkvm.DeviceState;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HostFile;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.virtio.queue.QueueFault;
import java.lang.System.Logger.Level;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * What every transport has in common: device status, features, queue registers, configuration space (virtio 1.2, 2.1 to 2.6).
 *
 * <p>The driver's accesses come on vCPU threads and take this object's monitor. What changes the device itself, such as a reset, is run on the
 * event loop, and the vCPU waits for it: a driver may take the write of a register for its effect. So code on the loop never takes the
 * monitor, or both would wait for each other.
 */
final class DeviceCore {
    private static final System.Logger LOG = System.getLogger(DeviceCore.class.getName());

    private final VirtioDevice device;
    private final Transport transport;
    private final GuestMemory memory;
    private final EventLoop loop;
    private final GuardedLoop guardedLoop;
    private final QueueRegisters[] registers;
    private final DeviceQueue[] queues;
    private final AtomicInteger status = new AtomicInteger();
    private final Counter notifications;
    private final Counter chains;
    private final Counter chainsDropped;
    private final Counter interrupts;
    private final Counter queueFaults;
    private final Counter resets;
    private final Counter failures;

    private long driverFeatures;

    /** What both agreed on; 0 until the driver is done choosing. */
    private volatile long negotiated;

    /** Whether the device is between activation and reset. Written on the loop. */
    private volatile boolean live;

    DeviceCore(VirtioDevice device, Transport transport, Bus bus) {
        this.device = device;
        this.transport = transport;
        this.memory = bus.memory();
        this.loop = device.chooseLoop(bus);
        this.guardedLoop = new GuardedLoop(loop, this::failed);
        this.notifications = device.counter("notifications");
        this.chains = device.counter("chains");
        this.chainsDropped = device.counter("chainsDropped");
        this.interrupts = device.counter("interrupts");
        this.queueFaults = device.counter("queueFaults");
        this.resets = device.counter("resets");
        this.failures = device.counter("failures");
        this.registers = new QueueRegisters[device.queueCount()];
        this.queues = new DeviceQueue[device.queueCount()];
        Arrays.setAll(registers, i -> new QueueRegisters(device.queueSize(i)));
        Arrays.setAll(queues, i -> new DeviceQueue(this, i, device.queueSize(i)));
        device.setCore(this);
        device.attached(bus);
    }

    String name() {
        return device.name();
    }

    GuestMemory memory() {
        return memory;
    }

    /** The loop for code of the device. */
    EventLoop loop() {
        return guardedLoop;
    }

    long negotiated() {
        return negotiated;
    }

    boolean isLive() {
        return live;
    }

    DeviceQueue queue(int index) {
        return queues[index];
    }

    int queueCount() {
        return queues.length;
    }

    /* The driver's side, on vCPU threads. */

    /** Reads 32 of the offered features. */
    int deviceFeatures(long select) {
        return word(device.offered(), select);
    }

    /** Reads 32 of the features the driver has chosen. */
    synchronized int driverFeatures(long select) {
        return word(driverFeatures, select);
    }

    private static int word(long features, long select) {
        return select == 0 ? (int) features : select == 1 ? (int) (features >>> Integer.SIZE) : 0;
    }

    /** Chooses 32 features; possible until the driver says that it is done (virtio 1.2, 3.1.1, steps 4 and 5). */
    synchronized void setDriverFeatures(long select, int value) {
        if ((status.get() & DeviceStatus.FEATURES_OK) != 0) {
            return;
        }
        long bits = Integer.toUnsignedLong(value);
        if (select == 0) {
            driverFeatures = (driverFeatures & -1L << Integer.SIZE) | bits;
        } else if (select == 1) {
            driverFeatures = (driverFeatures & 0xFFFF_FFFFL) | (bits << Integer.SIZE);
        }
    }

    int status() {
        return status.get();
    }

    /** Writes the status: 0 resets, bits are added in the order of virtio 1.2, 3.1.1, and never taken away but by a reset (2.1.1). */
    synchronized void setStatus(int value) {
        int wanted = value & 0xFF;
        if (wanted == 0) {
            reset();
            return;
        }
        if ((status.get() & ~DeviceStatus.NEEDS_RESET & ~wanted) != 0) {
            return;
        }
        add(wanted & (DeviceStatus.ACKNOWLEDGE | DeviceStatus.FAILED));
        step(wanted, DeviceStatus.DRIVER, DeviceStatus.ACKNOWLEDGE);
        if (agrees()) {
            step(wanted, DeviceStatus.FEATURES_OK, DeviceStatus.DRIVER);
        }
        if (has(DeviceStatus.FEATURES_OK)) {
            negotiated = driverFeatures;
            boolean ready = has(DeviceStatus.DRIVER_OK);
            step(wanted, DeviceStatus.DRIVER_OK, DeviceStatus.FEATURES_OK);
            if (!ready && has(DeviceStatus.DRIVER_OK)) {
                onLoop(this::activate);
            }
        }
    }

    private void step(int wanted, int bit, int needed) {
        if ((wanted & bit) != 0 && has(needed)) {
            add(bit);
        }
    }

    private boolean has(int bit) {
        return (status.get() & bit) != 0;
    }

    private void add(int bits) {
        status.getAndAccumulate(bits, (now, added) -> now | added);
    }

    /** Whether the driver's choice is one the device can work with: what was offered, and this version of the specification (6.2). */
    private boolean agrees() {
        return (driverFeatures & ~device.offered()) == 0
                && (driverFeatures & Feature.mask(Feature.VERSION_1)) != 0
                && device.accepts(driverFeatures);
    }

    /** Returns a queue's registers to be read, or null if there is no such queue. */
    @Nullable
    synchronized QueueRegisters registers(long index) {
        return index >= 0 && index < registers.length ? registers[(int) index] : null;
    }

    /**
     * Returns a queue's registers to be written, or null if they can't be now: before features are agreed on, while the queue is in use, and
     * after the driver is ready unless it has reset this queue (virtio 1.2, 3.1.1 and 2.6.1).
     */
    @Nullable
    synchronized QueueRegisters writableRegisters(long index) {
        QueueRegisters queue = registers(index);
        boolean configuring =
                has(DeviceStatus.FEATURES_OK) && (!has(DeviceStatus.DRIVER_OK) || agreedOn(Feature.RING_RESET));
        return queue != null && configuring && !queue.isReady() ? queue : null;
    }

    private boolean agreedOn(int bit) {
        return (negotiated & Feature.mask(bit)) != 0;
    }

    /** Puts a queue into use: at once if the driver is ready, or else when it is. */
    synchronized void enableQueue(long index) {
        QueueRegisters queue = writableRegisters(index);
        if (queue != null) {
            queue.setReady(true);
            if (has(DeviceStatus.DRIVER_OK)) {
                onLoop(() -> {
                    if (live) {
                        queues[(int) index].activate(queue.layout());
                        notifyQueue((int) index);
                    }
                });
            }
        }
    }

    /** Takes one queue out of use (virtio 1.2, 2.6.1), if that was agreed on. */
    synchronized void resetQueue(long index) {
        QueueRegisters queue = registers(index);
        if (queue != null && agreedOn(Feature.RING_RESET)) {
            onLoop(() -> stop(queues[(int) index]));
            queue.reset();
        }
    }

    /** Takes one queue out of use and keeps its registers (virtio 1.2, 4.2.2.2: zero written to QueueReady). */
    synchronized void disableQueue(long index) {
        QueueRegisters queue = registers(index);
        if (queue != null && queue.isReady()) {
            onLoop(() -> stop(queues[(int) index]));
            queue.setReady(false);
        }
    }

    private void stop(DeviceQueue queue) {
        if (live && queue.isActive()) {
            device.queueStopped(queue);
        }
        queue.reset();
    }

    long readConfig(long offset, int length) {
        return device.config().read(offset, length);
    }

    void writeConfig(long offset, int length, long value) {
        if (device.config().write(offset, length, value)) {
            int inside = (int) Math.min(length, device.config().size() - offset);
            // The driver may read next what the device answers to this.
            onLoop(() -> guarded(() -> device.configWritten((int) offset, inside)));
        }
    }

    int configGeneration() {
        return device.config().generation();
    }

    /** Takes a notification that came as a register write: where there are no doorbells. */
    void notifyFromVcpu(long index) {
        if (index >= 0 && index < queues.length) {
            later(() -> notifyQueue((int) index));
        }
    }

    /* The device's side, on the loop. */

    /** Has the device serve a queue. */
    void notifyQueue(int index) {
        if (live && queues[index].isActive()) {
            notifications.increment();
            // As guarded does, without an object for each notification.
            try {
                device.notified(queues[index]);
            } catch (RuntimeException e) {
                failed(e);
            }
        }
    }

    private void activate() {
        for (int i = 0; i < queues.length; i++) {
            if (registers[i].isReady()) {
                queues[i].activate(registers[i].layout());
            }
        }
        live = true;
        guarded(device::activate);
        // The driver may have notified before it was ready.
        for (int i = 0; i < queues.length; i++) {
            notifyQueue(i);
        }
    }

    /** Runs code of the device, whose failure is the device's alone. */
    private void guarded(Runnable code) {
        try {
            code.run();
        } catch (RuntimeException e) {
            failed(e);
        }
    }

    private void failed(RuntimeException failure) {
        failures.increment();
        LOG.log(Level.ERROR, "virtio device " + name() + " failed and asks for a reset", failure);
        needsReset("the device failed: " + failure);
    }

    void later(Runnable code) {
        try {
            guardedLoop.execute(code);
        } catch (IllegalStateException closed) {
            LOG.log(Level.DEBUG, "virtio device {0} is used after its event loop was closed", name());
        }
    }

    /** Returns what the device wants a queue's doorbell to signal, if it is not this process that listens. */
    Optional<HostFile> notificationEvent(int index) {
        return device.notificationEvent(index);
    }

    /** Has an event of the host's interrupt the driver for a queue, where the transport can do that without this process. */
    MessageInterrupt.Attachment attach(int index, HostFile event) {
        return transport.attach(index, event);
    }

    void countChain() {
        chains.increment();
    }

    void countDropped(int count) {
        chainsDropped.add(count);
    }

    void interruptForQueue(int index) {
        interrupts.increment();
        transport.interruptForQueue(index);
    }

    void configChanged() {
        if (has(DeviceStatus.FEATURES_OK)) {
            transport.interruptForConfig();
        }
    }

    void queueFault(int index, QueueFault fault) {
        queueFaults.increment();
        var event = new QueueFaultEvent(name(), index, fault.reason().name(), fault.detail());
        event.commit();
        needsReset("queue " + index + ": " + fault);
    }

    /** Asks the driver for a reset, and tells it at once if it is ready (virtio 1.2, 2.1.2). */
    void needsReset(String reason) {
        LOG.log(Level.DEBUG, "virtio device {0} needs a reset: {1}", name(), reason);
        add(DeviceStatus.NEEDS_RESET);
        if (has(DeviceStatus.DRIVER_OK)) {
            transport.interruptForConfig();
        }
    }

    /* Lifecycle. */

    /** Resets all. On return, the device is quiet and the status is 0. */
    synchronized void reset() {
        if (status.get() != 0) {
            onLoop(this::quieten);
        }
        driverFeatures = 0;
        negotiated = 0;
        for (QueueRegisters queue : registers) {
            queue.reset();
        }
        status.set(0);
    }

    private void quieten() {
        if (live) {
            live = false;
            resets.increment();
            guarded(device::reset);
        }
        for (DeviceQueue queue : queues) {
            queue.reset();
        }
    }

    synchronized void save(DeviceState state) {
        onLoop(() -> {
            if (live) {
                device.quiesce();
            }
            state.putNumber("status", status.get());
            state.putNumber("driverFeatures", driverFeatures);
            state.putBytes("config", device.config().toBytes());
            for (int i = 0; i < queues.length; i++) {
                registers[i].save(state, "registers" + i);
                queues[i].save(state);
            }
            device.save(state);
        });
    }

    /** Goes on after {@link #save}: doorbells that rang meanwhile may have been taken as served. */
    void resume() {
        for (int i = 0; i < queues.length; i++) {
            int index = i;
            later(() -> notifyQueue(index));
        }
    }

    synchronized void restore(DeviceState state) {
        reset();
        try {
            onLoop(() -> restoreAll(state));
        } catch (RuntimeException e) {
            reset();
            throw e;
        }
    }

    private void restoreAll(DeviceState state) {
        int saved = (int) state.number("status", 0, 0xFF);
        driverFeatures = state.number("driverFeatures");
        boolean chosen = (saved & DeviceStatus.FEATURES_OK) != 0;
        if (chosen && !agrees()) {
            throw new IllegalArgumentException(
                    "saved device " + name() + " uses features 0x" + Long.toHexString(driverFeatures)
                            + ", but this one offers 0x" + Long.toHexString(device.offered()));
        }
        negotiated = chosen ? driverFeatures : 0;
        byte[] config = state.bytes("config", device.config().size());
        if (config.length != device.config().size()) {
            throw new IllegalArgumentException("saved configuration space of " + name() + " has " + config.length
                    + " bytes; this device's has " + device.config().size());
        }
        device.config().setBytes(0, config);
        for (int i = 0; i < queues.length; i++) {
            registers[i].restore(state, "registers" + i);
            queues[i].restore(state);
        }
        status.set(saved);
        live = (saved & DeviceStatus.DRIVER_OK) != 0;
        device.restore(state);
        resume();
    }

    /** Stops the device for good: on return its code is not running and will not be run. It is to be closed once its doorbells are. */
    void end() {
        onLoop(this::quieten);
    }

    /** Runs code on the loop and waits for it. What it throws is thrown. */
    private void onLoop(Runnable code) {
        if (loop.inLoop()) {
            code.run();
            return;
        }
        var done = new CompletableFuture<Void>();
        try {
            loop.execute(() -> {
                try {
                    code.run();
                    done.complete(null);
                } catch (Throwable t) {
                    done.completeExceptionally(t);
                }
            });
        } catch (IllegalStateException closed) {
            // Nothing runs on the loop any more, so this thread may.
            code.run();
            return;
        }
        try {
            await(done);
        } catch (InterruptedException e) {
            // A machine that is being closed interrupts a vCPU that does not come back.
            Thread.currentThread().interrupt();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new IllegalStateException("virtio device " + name() + " failed", e.getCause());
        }
    }

    /** A loop that is closed drops what it was given, and would be waited for without end. */
    private void await(CompletableFuture<Void> done) throws InterruptedException, ExecutionException {
        while (true) {
            try {
                done.get(1, TimeUnit.SECONDS);
                return;
            } catch (TimeoutException e) {
                try {
                    loop.execute(() -> {});
                } catch (IllegalStateException closed) {
                    return;
                }
            }
        }
    }
}
