package io.github.jkvm.virtio.net;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.function.Predicate;

/**
 * Cuts a long frame of TCP into frames that the network takes, for receivers that do not do it themselves. The checksums of the parts are
 * complete.
 *
 * <p>Works on a copy: the guest that sends the frame can't change it meanwhile.
 */
final class Segmenter {
    /** With less data in each part, a frame would become too many: no TCP sends so little (a segment has 536 bytes, RFC 9293, 3.7.1). */
    static final int MIN_PART = 64;

    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    // Ethernet (IEEE 802.3, 802.1Q).
    private static final int TYPE = 12;
    private static final int TAG = 4;
    private static final int ETHERNET_HEADER = 14;
    private static final int TYPE_VLAN = 0x8100;
    private static final int TYPE_IPV4 = 0x0800;
    private static final int TYPE_IPV6 = 0x86DD;

    // IPv4 (RFC 791).
    private static final int V4_HEADER = 20;
    private static final int V4_LENGTH = 2;
    private static final int V4_ID = 4;
    private static final int V4_PROTOCOL = 9;
    private static final int V4_CHECKSUM = 10;
    private static final int V4_ADDRESSES = 12;
    private static final int V4_ADDRESSES_SIZE = 8;

    // IPv6 (RFC 8200).
    private static final int V6_HEADER = 40;
    private static final int V6_LENGTH = 4;
    private static final int V6_ADDRESSES = 8;
    private static final int V6_ADDRESSES_SIZE = 32;

    // TCP (RFC 9293).
    private static final int TCP = 6;
    private static final int TCP_HEADER = 20;
    private static final int TCP_SEQUENCE = 4;
    private static final int TCP_DATA_OFFSET = 12;
    private static final int TCP_FLAGS = 13;
    private static final int TCP_CHECKSUM = 16;
    private static final int FIN = 1;
    private static final int PSH = 8;
    private static final int CWR = 0x80;

    private final MemorySegment whole = MemorySegment.ofArray(new byte[Frame.MAX_SIZE]);
    private final MemorySegment part = MemorySegment.ofArray(new byte[Frame.MAX_SIZE]);
    private final Frame out = new Frame();

    private boolean v6;
    private int ip;
    private int tcp;
    private int headers;
    private int size;

    /** Returns how much room the parts of a frame take in a {@link FrameRing}, at most. */
    static long ringRoom(Frame frame) {
        long partCount = frame.size() / Math.max(MIN_PART, frame.header().gsoSize()) + 1;
        // Each part has its own headers, which are as long as those of the whole at most, and begin a record.
        return frame.size() + partCount * FrameRing.recordSize(Math.min(frame.size(), 2 * V6_HEADER + TCP_HEADER * 3L));
    }

    /**
     * Gives the parts of a frame to a taker, until one is not taken.
     *
     * @return false if the frame can't be cut, or a part was not taken
     */
    boolean cut(Frame frame, Predicate<Frame> taker) {
        OffloadHeader header = frame.header();
        int data = header.gsoSize();
        v6 = (header.gsoType() & ~OffloadHeader.ECN) == OffloadHeader.TCP_V6;
        size = (int) frame.size();
        frame.copyTo(0, whole, 0, size);
        if (data < MIN_PART || !findHeaders(header)) {
            return false;
        }
        int index = 0;
        for (int from = headers; from < size; from += data) {
            int length = Math.min(data, size - from);
            makePart(index, from, length);
            out.clear();
            out.add(part, 0, headers + length);
            if (!taker.test(out)) {
                return false;
            }
            index++;
        }
        return true;
    }

    /** Finds where the headers begin; false if the frame is not what its offload header says. */
    private boolean findHeaders(OffloadHeader header) {
        if (size < ETHERNET_HEADER + TAG + V4_HEADER) {
            return false;
        }
        boolean tagged = shortAt(TYPE) == TYPE_VLAN;
        ip = ETHERNET_HEADER + (tagged ? TAG : 0);
        if (shortAt(ip - Short.BYTES) != (v6 ? TYPE_IPV6 : TYPE_IPV4)) {
            return false;
        }
        tcp = header.checksumStart();
        if (tcp < ip + (v6 ? V6_HEADER : V4_HEADER) || tcp + TCP_HEADER > size) {
            return false;
        }
        // An IPv6 header may be followed by others before TCP; the sender says where the checksum begins.
        if (!v6 && (tcp != ip + (byteAt(ip) & 0xF) * Integer.BYTES || byteAt(ip + V4_PROTOCOL) != TCP)) {
            return false;
        }
        int offset = (byteAt(tcp + TCP_DATA_OFFSET) >>> 4) * Integer.BYTES;
        headers = tcp + offset;
        return header.checksumOffset() == TCP_CHECKSUM && offset >= TCP_HEADER && headers < size;
    }

    private void makePart(int index, int from, int length) {
        MemorySegment.copy(whole, 0, part, 0, headers);
        MemorySegment.copy(whole, from, part, headers, length);
        if (v6) {
            part.set(SHORT, ip + V6_LENGTH, (short) (headers - ip - V6_HEADER + length));
        } else {
            part.set(SHORT, ip + V4_LENGTH, (short) (headers - ip + length));
            part.set(SHORT, ip + V4_ID, (short) (shortAt(ip + V4_ID) + index));
            part.set(SHORT, ip + V4_CHECKSUM, (short) 0);
            int sum = Checksum.sum(part, ip, (long) tcp - ip);
            part.set(Checksum.WORD, ip + V4_CHECKSUM, Checksum.complement(sum));
        }
        part.set(INT, tcp + TCP_SEQUENCE, whole.get(INT, tcp + TCP_SEQUENCE) + from - headers);
        int flags = byteAt(tcp + TCP_FLAGS);
        if (from + length < size) {
            flags &= ~(FIN | PSH);
        }
        if (index != 0) {
            // Congestion was answered once (RFC 3168, 6.1.2).
            flags &= ~CWR;
        }
        part.set(BYTE, tcp + TCP_FLAGS, (byte) flags);
        completeTcp(headers - tcp + length);
    }

    private void completeTcp(int length) {
        part.set(SHORT, tcp + TCP_CHECKSUM, (short) 0);
        int addresses = v6
                ? Checksum.sum(part, ip + V6_ADDRESSES, V6_ADDRESSES_SIZE)
                : Checksum.sum(part, ip + V4_ADDRESSES, V4_ADDRESSES_SIZE);
        int pseudo = Checksum.add(addresses, Checksum.add(Checksum.swap(TCP), Checksum.swap(length)));
        int sum = Checksum.add(pseudo, Checksum.sum(part, tcp, length));
        part.set(Checksum.WORD, tcp + TCP_CHECKSUM, Checksum.complement(sum));
    }

    private int byteAt(int offset) {
        return whole.get(BYTE, offset) & 0xFF;
    }

    private int shortAt(int offset) {
        return whole.get(SHORT, offset) & 0xFFFF;
    }
}
