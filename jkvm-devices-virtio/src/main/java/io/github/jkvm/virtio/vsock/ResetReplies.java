package io.github.jkvm.virtio.vsock;

/** Resets to be sent for packets that belong to no connection: a bounded queue. On the loop. */
final class ResetReplies {
    /** Twice as many as there can be connections, all of which may end at once. */
    private static final int CAPACITY = 2048;

    private final int[] hostPorts = new int[CAPACITY];
    private final int[] guestPorts = new int[CAPACITY];
    private final int[] types = new int[CAPACITY];
    private int first;
    private int count;

    /** Adds a reply; false if there are too many already. */
    boolean add(int hostPort, int guestPort, int type) {
        if (count == CAPACITY) {
            return false;
        }
        int at = (first + count) % CAPACITY;
        hostPorts[at] = hostPort;
        guestPorts[at] = guestPort;
        types[at] = type;
        count++;
        return true;
    }

    boolean isEmpty() {
        return count == 0;
    }

    /** Fills a header with the oldest reply and forgets it. */
    void take(PacketHeader header) {
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
