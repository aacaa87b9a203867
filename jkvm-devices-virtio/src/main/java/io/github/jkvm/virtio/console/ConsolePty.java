package io.github.jkvm.virtio.console;

import io.github.jkvm.EventLoop;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.ffi.PtyCalls;
import io.github.jkvm.virtio.pipe.BytePipe;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * A terminal of the host on a port of the guest. Made by {@link ConsolePort#openPty}.
 *
 * <p>Safe for use by many threads.
 */
public final class ConsolePty implements AutoCloseable {
    /** How often to look whether someone has opened the terminal: the kernel does not tell its other side (Linux, drivers/tty/pty.c). */
    private static final Duration LOOK_AGAIN = Duration.ofMillis(200);

    private static final int NAME_BYTES = 128;

    private final ConsoleDevice device;
    private final ConsolePort port;
    private final OwnedFd master;
    private final Path path;
    private final BytePipe.Transfer write;
    private final BytePipe.Transfer read;

    /** Whether no one has the terminal open. On the loop. */
    private boolean unattended;

    /** What follows is guarded by this. */
    private boolean closed;

    private EventLoop.@Nullable Registration watch;
    private EventLoop.@Nullable Registration lookAgain;

    private ConsolePty(ConsoleDevice device, ConsolePort port, OwnedFd master, Path path) {
        this.device = device;
        this.port = port;
        this.master = master;
        this.path = path;
        this.write = part -> openOr(() -> master.tryWrite(part));
        this.read = part -> openOr(() -> master.tryRead(part));
    }

    /** The terminal can be closed at any time, by any thread. */
    private static long openOr(LongSupplier use) {
        try {
            return use.getAsLong();
        } catch (IllegalStateException closedMeanwhile) {
            return -Errno.EBADF;
        }
    }

    static ConsolePty open(ConsoleDevice device, ConsolePort port) {
        int fd = PtyCalls.posix_openpt(Libc.O_RDWR | PtyCalls.O_NOCTTY | Libc.O_NONBLOCK | Libc.O_CLOEXEC);
        if (fd < 0) {
            throw KvmException.of("posix_openpt", port.toString(), -fd);
        }
        var master = new OwnedFd(fd, "terminal of " + port);
        try (Arena arena = Arena.ofConfined()) {
            check("grantpt", master, PtyCalls.grantpt(fd));
            check("unlockpt", master, PtyCalls.unlockpt(fd));
            MemorySegment name = arena.allocate(NAME_BYTES);
            check("ptsname_r", master, PtyCalls.ptsname_r(fd, name, NAME_BYTES));
            MemorySegment settings = arena.allocate(Termios.LAYOUT);
            check("TCGETS", master, Libc.ioctl(fd, PtyCalls.TCGETS, settings));
            Termios.makeRaw(settings);
            check("TCSETS", master, Libc.ioctl(fd, PtyCalls.TCSETS, settings));
            // Reading fails with EIO while no one has it open, but not before someone had.
            check("open", master, openOnce(name));
            return new ConsolePty(device, port, master, Path.of(name.getString(0)));
        } catch (Throwable t) {
            master.close();
            throw t;
        }
    }

    private static int openOnce(MemorySegment name) {
        int slave = Libc.open(name, Libc.O_RDWR | PtyCalls.O_NOCTTY | Libc.O_CLOEXEC, 0);
        return slave < 0 ? slave : Libc.close(slave);
    }

    private static void check(String operation, OwnedFd master, int result) {
        if (result < 0) {
            throw KvmException.of(operation, master.toString(), -result);
        }
    }

    /**
     * Returns the terminal's file.
     *
     * @return its path, such as {@code /dev/pts/3}
     */
    public Path path() {
        return path;
    }

    void setSize(TerminalSize size) {
        try (Arena arena = Arena.ofConfined()) {
            // struct winsize (Linux, include/uapi/asm-generic/termios.h): rows, columns, and two sizes in pixels.
            MemorySegment winsize = arena.allocate(ValueLayout.JAVA_SHORT, 4);
            winsize.setAtIndex(ValueLayout.JAVA_SHORT, 0, (short) size.rows());
            winsize.setAtIndex(ValueLayout.JAVA_SHORT, 1, (short) size.columns());
            int fd = master.acquire();
            try {
                check("TIOCSWINSZ", master, Libc.ioctl(fd, PtyCalls.TIOCSWINSZ, winsize));
            } finally {
                master.release();
            }
        } catch (IllegalStateException closedMeanwhile) {
            // Nobody looks at the size of a terminal that is gone.
            return;
        }
    }

    /** Takes the terminal away from those who have it open, and leaves the port to its streams. Closing twice does nothing. */
    @Override
    public void close() {
        EventLoop.Registration first;
        EventLoop.Registration second;
        synchronized (this) {
            closed = true;
            first = watch;
            second = lookAgain;
            watch = null;
            lookAgain = null;
        }
        // Outside of the lock: this waits for the loop, which may wait for the lock.
        if (first != null) {
            first.close();
        }
        if (second != null) {
            second.close();
        }
        master.close();
        port.forget(this);
    }

    /* On the loop. */

    /**
     * Moves what can be moved both ways.
     *
     * @return true if there is room for bytes of the guest where there was none
     */
    boolean pump() {
        if (!watching()) {
            return false;
        }
        long taken;
        do {
            taken = port.toGuest().putWith(read);
        } while (taken > 0 || taken == -Errno.EINTR);
        if (taken != 0) {
            // What is written now would fill the kernel's buffer, and the one who opens the terminal later would see
            // the oldest of it.
            unattended = taken == -Errno.EIO;
        }
        BytePipe fromGuest = port.fromGuest();
        boolean full = fromGuest.room() == 0;
        if (unattended) {
            if (full) {
                device.countDropped(fromGuest.drop((fromGuest.available() + 3) / 4));
            }
            lookLater();
        } else {
            long written;
            do {
                written = fromGuest.takeWith(write);
            } while (written > 0 || written == -Errno.EINTR);
        }
        return full && fromGuest.room() > 0;
    }

    private synchronized boolean watching() {
        if (!closed && watch == null) {
            watch = device.watch(master, events -> device.wake(port));
        }
        return !closed;
    }

    private synchronized void lookLater() {
        if (!closed && lookAgain == null) {
            lookAgain = device.after(LOOK_AGAIN, this::look);
        }
    }

    private void look() {
        synchronized (this) {
            lookAgain = null;
        }
        device.wake(port);
    }

    /** Returns the path. */
    @Override
    public String toString() {
        return "terminal " + path + " of " + port;
    }
}
