package io.github.jkvm.testkit.scripted;

import io.github.jkvm.Doorbell;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A doorbell: a flag that a matching write of the guest sets. */
final class ScriptedDoorbell implements Doorbell {
    private final Match match;
    private final Consumer<ScriptedDoorbell> detach;

    // All guarded by this object.
    private boolean rung;
    private boolean closed;
    private ScriptedEventLoop.@Nullable RingEntry registration;

    ScriptedDoorbell(Match match, Consumer<ScriptedDoorbell> detach) {
        this.match = match;
        this.detach = detach;
    }

    @Override
    public Match match() {
        return match;
    }

    @Override
    public synchronized boolean poll() {
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
        return take();
    }

    /** Takes the rings if there are any; none are left of one that is closed. */
    synchronized boolean take() {
        boolean was = rung && !closed;
        rung = false;
        return was;
    }

    /** Rings. */
    void ring() {
        ScriptedEventLoop.RingEntry listening;
        synchronized (this) {
            if (closed || rung) {
                return; // rings that nobody has taken merge
            }
            rung = true;
            listening = registration;
        }
        if (listening != null) {
            listening.rang();
        }
    }

    synchronized ScriptedEventLoop.RingEntry register(ScriptedEventLoop loop, Runnable action) {
        if (closed) {
            throw new IllegalStateException(this + " is closed");
        }
        if (registration != null) {
            throw new IllegalStateException(
                    this + " is registered with an event loop already; close that registration first");
        }
        ScriptedEventLoop.RingEntry entry = loop.newEntry(this, action);
        registration = entry;
        if (rung) {
            entry.rang();
        }
        return entry;
    }

    synchronized void forgetRegistration() {
        registration = null;
    }

    @Override
    public void close() {
        ScriptedEventLoop.RingEntry listening;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            listening = registration;
        }
        if (listening != null) {
            // Code under way is not waited for, since the caller may hold a lock that it wants.
            listening.end();
        }
        detach.accept(this);
    }

    /** Returns where it is, such as {@code doorbell at port 0x510, 2 bytes, value 0x1}. */
    @Override
    public String toString() {
        String length = match.length() == 0 ? "any length" : match.length() + " bytes";
        String value = match.value() == null ? "" : ", value 0x" + Long.toHexString(match.value());
        String space = match.space() == Space.PORT ? "port" : "MMIO";
        return "doorbell at " + space + " 0x" + Long.toHexString(match.address()) + ", " + length + value;
    }
}
