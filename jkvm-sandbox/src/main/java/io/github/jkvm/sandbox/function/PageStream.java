package io.github.jkvm.sandbox.function;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;

/**
 * Numbers and call pages on their way between two processes. Of a page, only what comes before its last word that is not zero is sent. For one thread on each
 * side; allocates nothing for a page.
 */
final class PageStream {
    private static final int CHUNK = 64 << 10;

    private final DataInputStream in;
    private final DataOutputStream out;
    private final byte[] chunk = new byte[CHUNK];

    PageStream(SocketChannel channel) {
        this.in = new DataInputStream(new BufferedInputStream(Channels.newInputStream(channel), CHUNK));
        this.out = new DataOutputStream(new BufferedOutputStream(Channels.newOutputStream(channel), CHUNK));
    }

    DataInputStream in() {
        return in;
    }

    DataOutputStream out() {
        return out;
    }

    /** Sends a page, whose bytes may change meanwhile, and all that was written before. */
    void send(MemorySegment page) throws IOException {
        int length = lengthOf(page);
        out.writeInt(length);
        for (int at = 0; at < length; at += CHUNK) {
            int part = Math.min(CHUNK, length - at);
            MemorySegment.copy(page, ValueLayout.JAVA_BYTE, at, chunk, 0, part);
            out.write(chunk, 0, part);
        }
        out.flush();
    }

    private static int lengthOf(MemorySegment page) {
        long at = page.byteSize();
        while (at > 0 && page.get(ValueLayout.JAVA_LONG_UNALIGNED, at - Long.BYTES) == 0) {
            at -= Long.BYTES;
        }
        return Math.toIntExact(at);
    }

    /** Waits for a page; returns how long the part of it is that {@link #receive} is to receive. */
    int await() throws IOException {
        return in.readInt();
    }

    /** Receives a page that was awaited. */
    void receive(MemorySegment page, int length) throws IOException {
        if (length < 0 || length > page.byteSize()) {
            throw new IOException("a page of " + length + " bytes was announced; it has " + page.byteSize());
        }
        for (int at = 0; at < length; at += CHUNK) {
            int part = Math.min(CHUNK, length - at);
            in.readFully(chunk, 0, part);
            MemorySegment.copy(chunk, 0, page, ValueLayout.JAVA_BYTE, at, part);
        }
        page.asSlice(length).fill((byte) 0);
    }
}
