package io.github.jkvm.virtio.console;

import io.github.jkvm.DeviceState;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * A place for a port: who is in it, and what the driver knows of it. On the loop, but for {@link #port}.
 *
 * <p>What the driver is still to be told is a set of messages, each of which tells how things are when it is sent. So there are never more
 * than six to a port, however many the driver asks for.
 */
final class PortSlot {
    private final int id;
    private volatile @Nullable ConsolePort port;

    /** Messages to be sent: a bit for each {@link ControlEvent}. */
    private int pending;

    /** Whether the driver was told that there is a port. */
    private boolean announced;

    /** The port that it was told of; null after a restore, if that is no more. */
    private @Nullable ConsolePort known;

    /** Whether the driver has said that it has taken the port. */
    private boolean ready;

    private boolean hostOpenSent;

    /** How much of the next chain of the guest is through already. */
    private long sent;

    PortSlot(int id) {
        this.id = id;
    }

    int id() {
        return id;
    }

    @Nullable
    ConsolePort port() {
        return port;
    }

    void setPort(@Nullable ConsolePort occupant) {
        port = occupant;
    }

    boolean isPending(ControlEvent event) {
        return (pending & event.bit()) != 0;
    }

    boolean hasPending() {
        return pending != 0;
    }

    void want(ControlEvent event) {
        pending |= event.bit();
    }

    boolean isReady() {
        return ready;
    }

    long sent() {
        return sent;
    }

    void setSent(long bytes) {
        sent = bytes;
    }

    /** The driver begins, or is gone: it knows nothing. */
    void forget() {
        pending = 0;
        announced = false;
        known = null;
        ready = false;
        hostOpenSent = false;
        sent = 0;
    }

    /** The port in the slot may be another one than the driver knows: it is to be told. */
    void reconcile(boolean driverListens) {
        ConsolePort now = port;
        if (announced && now != null && now.equals(known)) {
            return;
        }
        pending = 0;
        ready = false;
        hostOpenSent = false;
        sent = 0;
        if (announced) {
            want(ControlEvent.PORT_REMOVE);
        }
        if (driverListens && now != null) {
            want(ControlEvent.PORT_ADD);
        }
    }

    /** The driver has taken the port, or could not. */
    void driverReady(ConsolePort occupant, boolean success) {
        ready = success;
        if (!success) {
            return;
        }
        if (occupant.kind() == PortKind.CONSOLE) {
            want(ControlEvent.CONSOLE_PORT);
            if (occupant.size() != null) {
                want(ControlEvent.RESIZE);
            }
        }
        if (!occupant.name().isEmpty()) {
            want(ControlEvent.PORT_NAME);
        }
        want(ControlEvent.PORT_OPEN);
    }

    /** Notes whether the program still has its end open; true if the driver is to be told something. */
    boolean updateHostOpen(ConsolePort occupant) {
        if (ready && occupant.isHostOpen() != hostOpenSent) {
            want(ControlEvent.PORT_OPEN);
            return true;
        }
        return false;
    }

    /** A message was put into the driver's buffer. */
    void told(ControlEvent event, int value) {
        pending &= ~event.bit();
        switch (event) {
            case PORT_ADD -> {
                announced = true;
                known = port;
            }
            case PORT_REMOVE -> {
                announced = false;
                known = null;
            }
            case PORT_OPEN -> hostOpenSent = value != 0;
            default -> {}
        }
    }

    void save(DeviceState state) {
        String prefix = "port" + id;
        ConsolePort occupant = port;
        state.putNumber(prefix + ".announced", announced ? 1 : 0);
        state.putNumber(prefix + ".ready", ready ? 1 : 0);
        state.putNumber(prefix + ".pending", pending);
        state.putNumber(prefix + ".sent", sent);
        state.putNumber(prefix + ".present", occupant == null ? 0 : 1);
        if (occupant != null) {
            state.putNumber(prefix + ".guestOpen", occupant.isGuestOpen() ? 1 : 0);
            state.putNumber(prefix + ".kind", occupant.kind().ordinal());
            state.putBytes(prefix + ".name", occupant.name().getBytes(StandardCharsets.UTF_8));
            state.putBytes(prefix + ".fromGuest", occupant.fromGuest().contents());
            state.putBytes(prefix + ".toGuest", occupant.toGuest().contents());
        }
    }

    /** Takes over what was saved. A port that is another one now, or is gone, or was not there, is made known to the driver as such. */
    void restore(DeviceState state, int bufferSize, boolean driverListens) {
        String prefix = "port" + id;
        forget();
        ConsolePort occupant = port;
        announced = state.number(prefix + ".announced", 0, 1) != 0;
        boolean same =
                state.number(prefix + ".present", 0, 1) != 0 && occupant != null && isSaved(occupant, state, prefix);
        if (!same || occupant == null) {
            reconcile(driverListens);
            return;
        }
        known = announced ? occupant : null;
        reconcile(driverListens);
        sent = state.number(prefix + ".sent", 0, 0xFFFF_FFFFL);
        ready = state.number(prefix + ".ready", 0, 1) != 0;
        pending |= (int) state.number(prefix + ".pending", 0, ControlEvent.SENT_BITS);
        if (ready) {
            want(ControlEvent.PORT_OPEN);
        }
        occupant.fromGuest().setContents(state.bytes(prefix + ".fromGuest", bufferSize));
        occupant.toGuest().setContents(state.bytes(prefix + ".toGuest", bufferSize));
        occupant.setGuestOpen(state.number(prefix + ".guestOpen", 0, 1) != 0);
    }

    private static boolean isSaved(ConsolePort occupant, DeviceState state, String prefix) {
        String name = new String(state.bytes(prefix + ".name", ConsoleDevice.MAX_NAME_BYTES), StandardCharsets.UTF_8);
        int kinds = PortKind.values().length;
        return name.equals(occupant.name())
                && state.number(prefix + ".kind", 0, kinds - 1)
                        == occupant.kind().ordinal();
    }
}
