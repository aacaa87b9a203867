package io.github.jkvm.virtio.vsock;

import io.github.jkvm.virtio.pipe.BytePipe;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** One Unix socket and the connection that its bytes go to. On the thread of its {@link VsockUnixSockets}, which never waits for it. */
final class UnixRelay {
    private static final Pattern CONNECT = Pattern.compile("CONNECT ([0-9]{1,10})");

    /** As long as {@code CONNECT 4294967295} and some more. */
    private static final int LONGEST_COMMAND = 32;

    private static final long CONNECT_SECONDS = 30;
    private static final long END = -1;
    private static final long BROKEN = -2;

    private final VsockUnixSockets sockets;
    private final VsockDevice device;
    private final SocketChannel socket;
    private final SelectionKey key;
    private final StringBuilder command = new StringBuilder();
    private final AtomicBoolean scheduled = new AtomicBoolean();
    private final BytePipe.Transfer read;
    private final BytePipe.Transfer write;
    private @Nullable ByteBuffer answer;
    private @Nullable Connection connection;
    private boolean connecting;
    private boolean inputEnded;
    private boolean outputEnded;

    UnixRelay(VsockUnixSockets sockets, VsockDevice device, SocketChannel socket, SelectionKey key) {
        this.sockets = sockets;
        this.device = device;
        this.socket = socket;
        this.key = key;
        this.read = part -> orBroken(() -> socket.read(part.asByteBuffer()));
        this.write = part -> orBroken(() -> socket.write(part.asByteBuffer()));
        key.attach(this);
    }

    @FunctionalInterface
    private interface Call {
        long call() throws IOException;
    }

    private static long orBroken(Call call) {
        try {
            return call.call();
        } catch (IOException e) {
            return BROKEN;
        }
    }

    /** The socket is ready, or a pipe has changed. */
    void ready() {
        if (!socket.isOpen()) {
            return;
        }
        Connection current = connection;
        if (current != null) {
            move(current);
        } else if (!connecting) {
            readCommand();
        }
    }

    private void readCommand() {
        ByteBuffer one = ByteBuffer.allocate(1);
        while (true) {
            // One byte at a time: what follows the line belongs to the guest.
            long count = orBroken(() -> socket.read(one.clear()));
            if (count == 0) {
                return;
            }
            if (count < 0 || command.length() == LONGEST_COMMAND) {
                close();
                return;
            }
            char next = (char) (one.get(0) & 0xFF);
            if (next == '\n') {
                connect();
                return;
            }
            command.append(next);
        }
    }

    @SuppressWarnings("FutureReturnValueIgnored") // its failure is an argument of the code it runs
    private void connect() {
        Matcher matcher = CONNECT.matcher(command);
        long port = matcher.matches() ? Long.parseLong(matcher.group(1)) : -1;
        if (port < 0 || port >= 0xFFFF_FFFFL) {
            close();
            return;
        }
        Connection begun;
        try {
            begun = device.begin((int) port);
        } catch (IOException | IllegalStateException e) {
            close();
            return;
        }
        connecting = true;
        key.interestOps(0);
        begun.established().orTimeout(CONNECT_SECONDS, TimeUnit.SECONDS).whenComplete((done, failure) -> {
            sockets.run(() -> connected(begun, failure));
        });
    }

    private void connected(Connection begun, @Nullable Throwable failure) {
        connecting = false;
        if (failure != null || !socket.isOpen()) {
            begun.refuse();
            close();
            return;
        }
        answer = ByteBuffer.wrap(
                ("OK " + Integer.toUnsignedString(begun.hostPort()) + "\n").getBytes(StandardCharsets.US_ASCII));
        relay(begun);
    }

    /** Begins to move bytes. */
    void relay(Connection to) {
        connection = to;
        Runnable again = () -> {
            if (scheduled.compareAndSet(false, true)) {
                sockets.run(() -> {
                    scheduled.set(false);
                    ready();
                });
            }
        };
        to.fromGuest().onChange(again);
        to.toGuest().onChange(again);
        ready();
    }

    private void move(Connection current) {
        int interest = 0;
        ByteBuffer greeting = answer;
        if (greeting != null) {
            if (orBroken(() -> socket.write(greeting)) < 0) {
                close();
                return;
            }
            if (greeting.hasRemaining()) {
                key.interestOps(SelectionKey.OP_WRITE);
                return;
            }
            answer = null;
        }
        long fromHost = inputEnded ? 0 : all(current.toGuest()::putWith, read, null);
        long fromGuest = outputEnded ? 0 : all(current.fromGuest()::takeWith, write, current);
        if (fromHost == BROKEN || fromGuest == BROKEN) {
            close();
            return;
        }
        if (fromHost == END || current.toGuest().isReaderClosed()) {
            inputEnded = true;
            current.toGuest().closeWriter();
        }
        if (!outputEnded
                && current.fromGuest().isWriterClosed()
                && current.fromGuest().available() == 0) {
            outputEnded = true;
            if (orBroken(() -> {
                        socket.shutdownOutput();
                        return 0;
                    })
                    < 0) {
                close();
                return;
            }
        }
        if (inputEnded && outputEnded) {
            close();
            return;
        }
        if (!inputEnded && current.toGuest().free() > 0) {
            interest |= SelectionKey.OP_READ;
        }
        if (!outputEnded && current.fromGuest().available() > 0) {
            interest |= SelectionKey.OP_WRITE;
        }
        key.interestOps(interest);
    }

    @FunctionalInterface
    private interface Move {
        long move(BytePipe.Transfer transfer);
    }

    /** Moves until nothing moves any more; returns what the last call returned. */
    private static long all(Move move, BytePipe.Transfer transfer, @Nullable Connection consumer) {
        long moved;
        do {
            moved = move.move(transfer);
            if (moved > 0 && consumer != null) {
                consumer.consumed((int) moved);
            }
        } while (moved > 0);
        return moved;
    }

    /** Ends both sides. */
    void close() {
        sockets.ended(this);
        key.cancel();
        orBroken(() -> {
            socket.close();
            return 0;
        });
        Connection current = connection;
        if (current != null) {
            current.release();
        }
    }
}
