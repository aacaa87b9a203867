package io.github.jkvm.virtio.vsock;

import java.util.function.LongConsumer;

/** Resets to be sent for packets that belong to no connection, and for connections that are no more: a bounded queue. On the loop. */
final class ResetReplies {
    /** Twice as many as there can be connections, all of which may end at once. */
    static final int CAPACITY = 2048;

    private final long[] guestCids = new long[CAPACITY];
    private final int[] hostPorts = new int[CAPACITY];
    private final int[] guestPorts = new int[CAPACITY];
    private final int[] types = new int[CAPACITY];
    private int first;
    private int count;

    /** Adds a reply; false if there are too many already. */
    boolean add(long guestCid, int hostPort, int guestPort, int type) {
        if (count == CAPACITY) {
            return false;
        }
        int at = (first + count) % CAPACITY;
        guestCids[at] = guestCid;
        hostPorts[at] = hostPort;
        guestPorts[at] = guestPort;
        types[at] = type;
        count++;
        return true;
    }

    int count() {
        return count;
    }

    /** Calls with the {@linkplain ConnectionTable#key key} of each, in their order. */
    void forEach(LongConsumer each) {
        for (int i = 0; i < count; i++) {
            int at = (first + i) % CAPACITY;
            each.accept(ConnectionTable.key(hostPorts[at], guestPorts[at]));
        }
    }

    boolean isEmpty() {
        return count == 0;
    }

    /** Fills a header with the oldest reply and forgets it. */
    void take(PacketHeader header) {
        header.destinationCid = guestCids[first];
        header.sourcePort = hostPorts[first];
        header.destinationPort = guestPorts[first];
        header.type = types[first];
        header.operation = PacketHeader.OP_RST;
        header.length = 0;
        header.flags = 0;
        header.bufferSize = 0;
        header.forwarded = 0;
        first = (first + 1) % CAPACITY;
        count--;
    }

    void clear() {
        count = 0;
    }
}
