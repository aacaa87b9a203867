package io.github.jkvm.virtio.vsock;

import io.github.jkvm.DeviceState;
import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.ChainWriter;
import io.github.jkvm.virtio.queue.DescriptorChain;
import io.github.jkvm.virtio.vsock.Connection.State;
import java.io.IOException;
import java.net.ConnectException;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Queue;
import java.util.function.Function;

/**
 * All connections of a device: takes the guest's packets, and sends it what there is to send of each, in turn (virtio 1.2, 5.10.6).
 *
 * <p>On the loop, until the device is closed: by another thread, so that this object's monitor guards all. What is called here waits for no
 * other thread.
 */
final class Connections {
    /** How many bytes are moved before other devices of the loop get their turn. */
    private static final long TURN = 1 << 20;

    /** The name of what is saved. */
    private static final String STATE = "connections";

    private static final int MOST_SAVED = VsockBuilder.MOST_CONNECTIONS + ResetReplies.CAPACITY;

    /** What a packet counts beside its bytes. */
    private static final long PACKET_COST = 1024;

    private final VsockDevice device;
    private final Duration linger;
    private final ConnectionTable table;
    private final Queue<Connection> ready = new ArrayDeque<>();
    private final ResetReplies replies = new ResetReplies();
    private final PacketHeader header = new PacketHeader();
    private final PacketHeader ownHeader = new PacketHeader();
    private final DescriptorChain chain = new DescriptorChain();
    private final DescriptorChain ownChain = new DescriptorChain();
    private final Runnable receiveAgain = this::receive;
    private final Runnable sendAgain = this::send;

    private final Counter fromGuest;
    private final Counter toGuest;
    private final Counter made;
    private final Counter refused;
    private final Counter badPackets;
    private final Counter shortBuffers;
    private final Counter resetsDropped;

    Connections(VsockDevice device, int most, Duration linger, Function<String, Counter> counters) {
        this.device = device;
        this.linger = linger;
        table = new ConnectionTable(most);
        fromGuest = counters.apply("bytesFromGuest");
        toGuest = counters.apply("bytesToGuest");
        made = counters.apply("connections");
        refused = counters.apply("refused");
        badPackets = counters.apply("badPackets");
        shortBuffers = counters.apply("shortBuffers");
        resetsDropped = counters.apply("resetsDropped");
    }

    /** Asks the guest for a connection. */
    synchronized void begin(Connection connection, boolean closed) {
        if (closed || table.find(connection.hostPort(), connection.guestPort()) != null) {
            connection.end(new SocketException(closed ? "the device is closed" : "the ports are in use; try again"));
            return;
        }
        table.add(connection);
        connection.request();
        changed(connection);
    }

    /** Lets the guest have a connection that it asked for. */
    void acceptSoon(Connection connection) {
        device.post(() -> accept(connection));
    }

    private synchronized void accept(Connection connection) {
        if (connection.accepted()) {
            changed(connection);
        }
    }

    /** Ends a connection at once, and tells the guest if it knows of it. */
    void endSoon(Connection connection, String why) {
        device.post(() -> abort(connection, why));
    }

    void wake(Connection connection) {
        device.post(() -> changed(connection));
    }

    /** Sends what there is to send of a connection. */
    private synchronized void changed(Connection connection) {
        if (connection.isProgramDone() && connection.state() == State.ESTABLISHED && connection.timer() == null) {
            connection.setTimer(
                    device.after(linger, () -> endSoon(connection, "the guest did not end it in " + linger)));
        }
        enqueue(connection);
        send();
    }

    private synchronized void abort(Connection connection, String why) {
        if (connection.state() == State.CLOSED) {
            return;
        }
        boolean tell = connection.guestKnows();
        end(connection, new SocketException(why));
        if (tell) {
            reply(connection.hostPort(), connection.guestPort(), PacketHeader.TYPE_STREAM);
            send();
        }
    }

    private void end(Connection connection, IOException why) {
        if (table.remove(connection)) {
            connection.end(why);
        }
    }

    /** Takes the guest's packets. */
    synchronized void receive() {
        if (!device.isLive()) {
            return;
        }
        DeviceQueue queue = device.transmitQueue();
        long left = TURN;
        boolean more;
        do {
            queue.disableNotifications();
            while (left > 0 && queue.pop(chain)) {
                left -= PACKET_COST + take(chain.reader());
                queue.complete(chain, 0);
            }
            more = queue.enableNotifications();
        } while (more && left > 0);
        queue.interrupt();
        send();
        if (more) {
            device.post(receiveAgain);
        }
    }

    /** Takes a packet; returns the length of what it carries. */
    private int take(ChainReader reader) {
        if (!header.read(reader)
                || header.sourceCid != device.guestCid()
                || header.destinationCid != VsockDevice.HOST_CID) {
            badPackets.increment();
            return 0;
        }
        int hostPort = header.destinationPort;
        int guestPort = header.sourcePort;
        boolean reset = header.operation == PacketHeader.OP_RST;
        if (header.type != PacketHeader.TYPE_STREAM) {
            if (!reset) {
                reply(hostPort, guestPort, header.type);
            }
            return 0;
        }
        Connection connection = table.find(hostPort, guestPort);
        boolean fits = header.length >= 0 && header.length <= PacketHeader.MAX_PAYLOAD && reader.has(header.length);
        if (!fits) {
            badPackets.increment();
        }
        if (connection == null) {
            if (header.operation == PacketHeader.OP_REQUEST && fits) {
                requested(hostPort, guestPort);
            } else if (!reset) {
                reply(hostPort, guestPort, header.type);
            }
            return 0;
        }
        if (!fits) {
            abort(connection, "the guest sent a packet that is too long");
            return 0;
        }
        connection.peerCredit(header);
        takeOf(connection, reader);
        enqueue(connection);
        return header.length;
    }

    private void requested(int hostPort, int guestPort) {
        if (!device.listensOn(hostPort) || !device.budget().tryTake()) {
            refused.increment();
            reply(hostPort, guestPort, PacketHeader.TYPE_STREAM);
            return;
        }
        var connection = new Connection(device, hostPort, guestPort, device.bufferSize(), State.REQUESTED);
        connection.peerCredit(header);
        table.add(connection);
        made.increment();
        device.requested(connection);
    }

    private void takeOf(Connection connection, ChainReader reader) {
        switch (header.operation) {
            case PacketHeader.OP_RESPONSE -> {
                if (connection.answered()) {
                    made.increment();
                } else {
                    abort(connection, "the guest answered what it was not asked");
                }
            }
            case PacketHeader.OP_RST -> {
                if (connection.state() == State.CONNECTING) {
                    refused.increment();
                    end(connection, new ConnectException("connection refused"));
                } else {
                    end(connection, new SocketException("connection reset by the guest"));
                }
            }
            case PacketHeader.OP_SHUTDOWN -> {
                if (connection.state() != State.ESTABLISHED || connection.shutdown(header.flags)) {
                    abort(connection, "the guest has closed it");
                }
            }
            case PacketHeader.OP_RW -> {
                if (connection.state() == State.ESTABLISHED && connection.receive(reader, header.length)) {
                    fromGuest.add(header.length);
                } else {
                    badPackets.increment();
                    abort(connection, "the guest sent more than there was room for, or after the end");
                }
            }
            case PacketHeader.OP_CREDIT_UPDATE -> {}
            case PacketHeader.OP_CREDIT_REQUEST -> connection.answerCredit();
            default -> abort(connection, "the guest sent an operation that makes no sense: " + header.operation);
        }
    }

    private void reply(int hostPort, int guestPort, int type) {
        reply(device.guestCid(), hostPort, guestPort, type);
    }

    private void reply(long guestCid, int hostPort, int guestPort, int type) {
        if (!replies.add(guestCid, hostPort, guestPort, type)) {
            resetsDropped.increment();
        }
    }

    private void enqueue(Connection connection) {
        if (!connection.isQueued() && connection.hasPacket()) {
            connection.setQueued(true);
            ready.add(connection);
        }
    }

    /** Gives the guest packets, as far as it has given buffers, in turn. */
    synchronized void send() {
        if (!device.isLive()) {
            return;
        }
        DeviceQueue queue = device.receiveQueue();
        long left = TURN;
        while (somethingToSend()) {
            if (left <= 0) {
                device.post(sendAgain);
                break;
            }
            if (!queue.pop(ownChain)) {
                if (!queue.enableNotifications()) {
                    break;
                }
                continue;
            }
            ChainWriter writer = ownChain.writer();
            left -= PACKET_COST;
            if (!writer.has(PacketHeader.BYTES + 1)) {
                shortBuffers.increment();
            } else {
                left -= put(writer);
            }
            queue.complete(ownChain, writer.position());
        }
        queue.interrupt();
    }

    private boolean somethingToSend() {
        if (!replies.isEmpty()) {
            return true;
        }
        while (true) {
            Connection first = ready.peek();
            if (first == null) {
                return false;
            }
            if (first.hasPacket()) {
                return true;
            }
            first.setQueued(false);
            ready.remove();
        }
    }

    /** Puts the next packet into a buffer; returns the length of what it carries. */
    private int put(ChainWriter writer) {
        ownHeader.sourceCid = VsockDevice.HOST_CID;
        if (!replies.isEmpty()) {
            replies.take(ownHeader);
            ownHeader.write(writer);
            return 0;
        }
        Connection connection = ready.remove();
        connection.setQueued(false);
        ownHeader.destinationCid = device.guestCid();
        connection.next(ownHeader, writer.remaining() - PacketHeader.BYTES);
        ownHeader.write(writer);
        int length = ownHeader.length;
        if (length > 0) {
            connection.toGuest().drain(writer, length);
            toGuest.add(length);
        }
        enqueue(connection);
        return length;
    }

    /** Saves which connections the guest knows of, or is still to be told the end of: after a restore it is told the end of each. */
    synchronized void save(DeviceState state) {
        ByteBuffer keys = ByteBuffer.allocate((table.count() + replies.count()) * Long.BYTES);
        table.forEach(connection -> {
            if (connection.guestKnows()) {
                keys.putLong(connection.key());
            }
        });
        replies.forEach(keys::putLong);
        state.putBytes(STATE, Arrays.copyOf(keys.array(), keys.position()));
    }

    /**
     * Ends all connections, and tells a restored guest the end of those it knows of: in the receive queue, behind what the guest may find there of
     * them, such as the answer to a request.
     *
     * @param savedCid the guest's address when it was saved, by which it still knows them
     */
    synchronized void restore(DeviceState state, long savedCid) {
        ByteBuffer keys = ByteBuffer.wrap(state.bytes(STATE, MOST_SAVED * Long.BYTES));
        if (keys.remaining() % Long.BYTES != 0) {
            throw new IllegalArgumentException("state entry '" + STATE + "' has " + keys.remaining()
                    + " bytes; it must have a multiple of " + Long.BYTES);
        }
        endAll("the machine was restored to a saved state");
        while (device.isLive() && keys.hasRemaining()) {
            long key = keys.getLong();
            reply(savedCid, ConnectionTable.hostPort(key), ConnectionTable.guestPort(key), PacketHeader.TYPE_STREAM);
        }
    }

    /** Ends all connections. */
    synchronized void endAll(String why) {
        table.clear(connection -> connection.end(new SocketException(why)));
        ready.clear();
        replies.clear();
    }
}
