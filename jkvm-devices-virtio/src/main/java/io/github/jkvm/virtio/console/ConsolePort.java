package io.github.jkvm.virtio.console;

import io.github.jkvm.virtio.pipe.BytePipe;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * One port of a {@link ConsoleDevice}: a line between the guest and the program, with bytes going both ways.
 *
 * <p>The program's end is a pair of streams, or a terminal of the host ({@link #openPty}). Both directions are bounded: a guest that writes faster
 * than the program reads waits, and so does a program that writes faster than the guest reads. What the program writes while no one in the guest
 * has the port open is kept until someone does.
 *
 * <p>Safe for use by many threads.
 */
public final class ConsolePort implements AutoCloseable {
    private final ConsoleDevice device;
    private final int id;
    private final String name;
    private final PortKind kind;
    private final BytePipe fromGuest;
    private final BytePipe toGuest;

    /** Guards the fields below. */
    private final Object lock = new Object();

    private boolean guestOpen;
    private boolean closed;
    private boolean streamsUsed;
    private @Nullable TerminalSize size;
    private @Nullable ConsolePty pty;

    ConsolePort(ConsoleDevice device, int id, String name, PortKind kind, int bufferSize) {
        this.device = device;
        this.id = id;
        this.name = name;
        this.kind = kind;
        Runnable wake = () -> device.wake(this);
        this.fromGuest = new BytePipe(bufferSize, wake);
        this.toGuest = new BytePipe(bufferSize, wake);
    }

    /**
     * Returns the number of the port.
     *
     * @return the id, from 0
     */
    public int id() {
        return id;
    }

    /**
     * Returns the name under which a Linux guest finds the port in {@code /sys/class/virtio-ports/*}{@code /name}.
     *
     * @return the name; empty if it has none
     */
    public String name() {
        return name;
    }

    /**
     * Returns what the guest takes the port for.
     *
     * @return the kind
     */
    public PortKind kind() {
        return kind;
    }

    /**
     * Returns what the guest writes to the port.
     *
     * <p>A read waits for a byte; it ends with {@link java.io.InterruptedIOException} if its thread is interrupted, and with the end of the stream
     * when the port or the device is closed. Closing the stream has all that the guest writes dropped from then on.
     *
     * @return the stream, of which there is one
     * @throws IllegalStateException if the port has a terminal
     */
    public InputStream inputStream() {
        useStreams();
        return new PortStreams.In(fromGuest);
    }

    /**
     * Returns what the guest reads from the port.
     *
     * <p>A write waits for room; it fails with an {@link java.io.IOException} if its thread is interrupted or the port or the device is closed.
     * Closing the stream lets the guest read what was written. Once both streams are closed, the guest is told that the port has no one on the
     * other side.
     *
     * @return the stream, of which there is one
     * @throws IllegalStateException if the port has a terminal
     */
    public OutputStream outputStream() {
        useStreams();
        return new PortStreams.Out(toGuest);
    }

    private void useStreams() {
        synchronized (lock) {
            if (pty != null) {
                throw new IllegalStateException(this + " is on terminal " + pty.path() + ", which has its bytes");
            }
            streamsUsed = true;
        }
    }

    /**
     * Connects the port to a new terminal of the host, for programs such as {@code screen} and {@code socat}. The terminal is raw, its size follows
     * {@link #resize}, and it is gone when the port or the device is closed. As long as no one has it open, the last that the guest wrote is
     * kept, and the guest does not wait.
     *
     * @return the terminal
     * @throws IllegalStateException if the port is closed, has a terminal, or its streams were asked for
     * @throws io.github.jkvm.HypervisorException if the host has no terminal left
     */
    public ConsolePty openPty() {
        ConsolePty opened;
        synchronized (lock) {
            if (closed || streamsUsed || pty != null) {
                throw new IllegalStateException(
                        this + " can't get a terminal: it is closed, or its bytes go elsewhere");
            }
            opened = ConsolePty.open(device, this);
            pty = opened;
            if (size != null) {
                opened.setSize(size);
            }
        }
        device.wake(this);
        return opened;
    }

    /**
     * Tells a guest whose port is a console how large its terminal is.
     *
     * @param newSize the size
     * @throws IllegalStateException if the port is no console
     */
    public void resize(TerminalSize newSize) {
        if (kind != PortKind.CONSOLE) {
            throw new IllegalStateException(this + " is no console and has no size");
        }
        synchronized (lock) {
            size = newSize;
            if (pty != null) {
                pty.setSize(newSize);
            }
        }
        device.resized(this, newSize);
    }

    /**
     * Tells whether someone in the guest has the port open.
     *
     * @return true if what is written arrives now
     */
    public boolean isGuestOpen() {
        synchronized (lock) {
            return guestOpen;
        }
    }

    /**
     * Waits until someone in the guest has the port open.
     *
     * @param timeout how long to wait at most
     * @return whether the port is open
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public boolean awaitGuestOpen(Duration timeout) throws InterruptedException {
        long end = System.nanoTime() + timeout.toNanos();
        synchronized (lock) {
            while (!guestOpen && !closed) {
                long left = end - System.nanoTime();
                if (left <= 0) {
                    break;
                }
                lock.wait(left / 1_000_000, (int) (left % 1_000_000));
            }
            return guestOpen;
        }
    }

    /**
     * Takes the port out of the guest. A reader reads what the guest wrote before, and then the end of the stream. Closing twice does nothing.
     *
     * @throws IllegalStateException if it is the only port of a device that was made with one
     */
    @Override
    public void close() {
        device.remove(this);
    }

    /* What the device does. */

    BytePipe fromGuest() {
        return fromGuest;
    }

    BytePipe toGuest() {
        return toGuest;
    }

    @Nullable
    ConsolePty pty() {
        synchronized (lock) {
            return pty;
        }
    }

    @Nullable
    TerminalSize size() {
        synchronized (lock) {
            return size;
        }
    }

    boolean isHostOpen() {
        return !fromGuest.isReaderClosed() || !toGuest.isWriterClosed();
    }

    void setGuestOpen(boolean open) {
        synchronized (lock) {
            guestOpen = open;
            lock.notifyAll();
        }
    }

    /** Ends both streams and the terminal. */
    void end() {
        ConsolePty terminal;
        synchronized (lock) {
            closed = true;
            guestOpen = false;
            terminal = pty;
            lock.notifyAll();
        }
        fromGuest.closeWriter();
        toGuest.closeReader();
        if (terminal != null) {
            terminal.close();
        }
    }

    void forget(ConsolePty terminal) {
        synchronized (lock) {
            if (terminal.equals(pty)) {
                pty = null;
            }
        }
    }

    /** Returns the device's name, the id and the port's name. */
    @Override
    public String toString() {
        return "port " + id + (name.isEmpty() ? "" : " '" + name + "'") + " of " + device.name();
    }
}
