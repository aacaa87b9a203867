package io.github.jkvm.virtio.console;

import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.ChainWriter;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/** The two control queues: what the driver says of its ports, and what it is told of them (virtio 1.2, 5.3.6.2). On the loop. */
final class PortControl {
    /** {@code struct virtio_console_control}: id, event, value. */
    private static final int HEADER_BYTES = 8;

    /** {@code struct virtio_console_resize}: columns, rows. */
    private static final int SIZE_BYTES = 4;

    /** Buffers that are too small for a message and are given back in one turn. */
    private static final int TURN = 64;

    private static final ControlEvent[] EVENTS = ControlEvent.values();

    private final PortSlot[] slots;
    private final Consumer<ConsolePort> pump;
    private final DescriptorChain chain = new DescriptorChain();
    private final Counter messages;
    private final Counter badMessages;
    private final Counter shortBuffers;

    /** Whether the driver has said that it is ready to hear of ports. */
    private boolean driverListens;

    PortControl(
            PortSlot[] slots, Consumer<ConsolePort> pump, Counter messages, Counter badMessages, Counter shortBuffers) {
        this.slots = slots;
        this.pump = pump;
        this.messages = messages;
        this.badMessages = badMessages;
        this.shortBuffers = shortBuffers;
    }

    boolean driverListens() {
        return driverListens;
    }

    void setDriverListens(boolean listens) {
        driverListens = listens;
    }

    /** Takes a message of the driver. */
    long receive(DescriptorChain message) {
        ChainReader reader = message.reader();
        messages.increment();
        if (!reader.has(HEADER_BYTES)) {
            badMessages.increment();
            return 0;
        }
        int id = reader.nextInt();
        int event = reader.nextShort() & 0xFFFF;
        int value = reader.nextShort() & 0xFFFF;
        if (event == ControlEvent.DEVICE_READY.number()) {
            deviceReady(value);
        } else if (!portMessage(id, event, value)) {
            badMessages.increment();
        }
        return 0;
    }

    private void deviceReady(int value) {
        driverListens = value == 1;
        for (PortSlot slot : slots) {
            slot.forget();
            ConsolePort port = slot.port();
            if (port != null) {
                port.setGuestOpen(false);
                if (driverListens) {
                    slot.want(ControlEvent.PORT_ADD);
                }
            }
        }
    }

    private boolean portMessage(int id, int event, int value) {
        if (id < 0 || id >= slots.length) {
            return false;
        }
        ConsolePort port = slots[id].port();
        if (port == null) {
            return false;
        }
        if (event == ControlEvent.PORT_READY.number()) {
            slots[id].driverReady(port, value == 1);
        } else if (event == ControlEvent.PORT_OPEN.number()) {
            port.setGuestOpen(value == 1);
        } else {
            return false;
        }
        pump.accept(port);
        return true;
    }

    /** Tells the driver what it is still to be told, as far as it has given buffers. */
    void send(DeviceQueue queue) {
        int left = TURN;
        for (PortSlot slot : slots) {
            while (slot.hasPending() && left > 0) {
                if (!queue.pop(chain)) {
                    if (!queue.enableNotifications()) {
                        queue.interrupt();
                        return;
                    }
                    continue;
                }
                left -= put(slot, queue);
            }
        }
        queue.interrupt();
    }

    /** Uses one buffer; returns 1 if it was of no use. */
    private int put(PortSlot slot, DeviceQueue queue) {
        for (ControlEvent event : EVENTS) {
            if (slot.isPending(event)) {
                long written = write(slot, event, chain.writer());
                queue.complete(chain, written);
                if (written == 0) {
                    shortBuffers.increment();
                    return 1;
                }
                return 0;
            }
        }
        throw new IllegalStateException("port " + slot.id() + " has messages of no kind");
    }

    private static long write(PortSlot slot, ControlEvent event, ChainWriter writer) {
        ConsolePort port = slot.port();
        byte[] name = event == ControlEvent.PORT_NAME && port != null ? bytes(port.name()) : new byte[0];
        TerminalSize size = port == null ? null : port.size();
        int extra = event == ControlEvent.RESIZE ? SIZE_BYTES : name.length;
        if (!writer.has(HEADER_BYTES + (long) extra)) {
            return 0;
        }
        boolean open = port != null && port.isHostOpen();
        int value = event == ControlEvent.PORT_OPEN && !open ? 0 : 1;
        writer.putInt(slot.id());
        writer.putShort((short) event.number());
        writer.putShort((short) value);
        if (event == ControlEvent.RESIZE) {
            writer.putShort((short) (size == null ? 0 : size.columns()));
            writer.putShort((short) (size == null ? 0 : size.rows()));
        }
        writer.writeExactly(MemorySegment.ofArray(name));
        slot.told(event, value);
        return writer.position();
    }

    private static byte[] bytes(String name) {
        return name.getBytes(StandardCharsets.UTF_8);
    }
}
