package io.github.jkvm.virtio.net;

import java.nio.ByteBuffer;

/** Frames with TCP, as a guest's kernel makes them when it leaves checksum and cutting to others. */
final class TcpFrames {
    static final int V4_HEADERS = 14 + 20 + 20;
    static final int V6_HEADERS = 14 + 40 + 20;

    private TcpFrames() {}

    static OffloadHeader header(int data, int partSize) {
        var header = new OffloadHeader();
        header.setChecksum(34, 16);
        header.setGso(OffloadHeader.TCP_V4, Math.min(V4_HEADERS, data), partSize);
        return header;
    }

    static OffloadHeader v6Header(int partSize) {
        var header = new OffloadHeader();
        header.setChecksum(54, 16);
        header.setGso(OffloadHeader.TCP_V6 | OffloadHeader.ECN, V6_HEADERS, partSize);
        return header;
    }

    static byte[] v4(int data) {
        ByteBuffer frame = ByteBuffer.allocate(V4_HEADERS + data);
        frame.put(MacAddress.of("52:54:00:00:00:0b").toBytes());
        frame.put(MacAddress.of("52:54:00:00:00:0a").toBytes());
        frame.putShort((short) 0x0800);
        frame.put((byte) 0x45).put((byte) 0).putShort((short) (40 + data));
        frame.putShort((short) 0xFFFE).putShort((short) 0x4000);
        frame.put((byte) 64).put((byte) 6).putShort((short) 0);
        frame.putInt(0x0A00_0001).putInt(0x0A00_0002);
        tcp(frame, data);
        return frame.array();
    }

    static byte[] v6(int data) {
        ByteBuffer frame = ByteBuffer.allocate(V6_HEADERS + data);
        frame.put(MacAddress.of("52:54:00:00:00:0b").toBytes());
        frame.put(MacAddress.of("52:54:00:00:00:0a").toBytes());
        frame.putShort((short) 0x86DD);
        frame.putInt(0x6000_0000).putShort((short) (20 + data)).put((byte) 6).put((byte) 64);
        frame.putLong(0xFD00_0000_0000_0000L).putLong(1);
        frame.putLong(0xFD00_0000_0000_0000L).putLong(2);
        tcp(frame, data);
        return frame.array();
    }

    private static void tcp(ByteBuffer frame, int data) {
        frame.putShort((short) 1000).putShort((short) 2000);
        frame.putInt(0xFFFF_FF00).putInt(7);
        // ACK, PSH, FIN, CWR
        frame.put((byte) 0x50).put((byte) 0x99).putShort((short) 500);
        frame.putShort((short) 0x1234).putShort((short) 0);
        for (int i = 0; i < data; i++) {
            frame.put((byte) (i * 7));
        }
    }

    /** The sum of 16-bit words that a checksum is over, done the slow way: 0xffff if it is right. */
    static int sum(byte[] bytes, int from, int length) {
        long sum = 0;
        for (int i = 0; i < length; i++) {
            sum += (long) (bytes[from + i] & 0xFF) << (i % 2 == 0 ? 8 : 0);
        }
        return fold(sum);
    }

    static int fold(long sum) {
        long folded = sum;
        while (folded > 0xFFFF) {
            folded = (folded & 0xFFFF) + (folded >>> 16);
        }
        return (int) folded;
    }
}
