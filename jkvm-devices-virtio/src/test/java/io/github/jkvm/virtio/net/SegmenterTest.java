package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class SegmenterTest {
    private final List<byte[]> parts = new ArrayList<>();

    private boolean cut(OffloadHeader header, byte[] bytes) {
        var frame = new Frame();
        frame.header().bytes().copyFrom(header.bytes());
        frame.add(MemorySegment.ofArray(bytes), 0, bytes.length);
        return new Segmenter().cut(frame, part -> {
            byte[] copy = new byte[(int) part.size()];
            part.copyTo(0, MemorySegment.ofArray(copy), 0, copy.length);
            assertThat(part.header().flags()).isZero();
            assertThat(part.header().gsoType()).isZero();
            parts.add(copy);
            return true;
        });
    }

    @Test
    void cutsTcpOverIpv4IntoWholeFrames() {
        byte[] whole = TcpFrames.v4(2500);
        assertThat(cut(TcpFrames.header(2500, 1000), whole)).isTrue();
        assertThat(parts).hasSize(3);
        int from = 0;
        for (int i = 0; i < 3; i++) {
            byte[] part = parts.get(i);
            ByteBuffer view = ByteBuffer.wrap(part);
            int data = i < 2 ? 1000 : 500;
            assertThat(part).hasSize(TcpFrames.V4_HEADERS + data);
            assertThat(view.getShort(16) & 0xFFFF).isEqualTo(40 + data);
            assertThat(view.getShort(18)).isEqualTo((short) (0xFFFE + i));
            assertThat(TcpFrames.sum(part, 14, 20)).isEqualTo(0xFFFF);
            assertThat(view.getInt(38)).isEqualTo(0xFFFF_FF00 + from);
            // CWR on the first only, PSH and FIN on the last only (RFC 9293, RFC 3168).
            assertThat(part[47] & 0xFF).isEqualTo(i == 0 ? 0x90 : i == 1 ? 0x10 : 0x19);
            int pseudo = TcpFrames.sum(part, 26, 8) + 6 + 20 + data;
            assertThat(TcpFrames.fold(pseudo + TcpFrames.sum(part, 34, 20 + data)))
                    .isEqualTo(0xFFFF);
            assertThat(part)
                    .containsSequence(
                            Arrays.copyOfRange(whole, TcpFrames.V4_HEADERS + from, TcpFrames.V4_HEADERS + from + data));
            from += data;
        }
    }

    @Test
    void cutsTcpOverIpv6IntoWholeFrames() {
        assertThat(cut(TcpFrames.v6Header(1440), TcpFrames.v6(2000))).isTrue();
        assertThat(parts).hasSize(2);
        for (int i = 0; i < 2; i++) {
            byte[] part = parts.get(i);
            int data = i == 0 ? 1440 : 560;
            assertThat(ByteBuffer.wrap(part).getShort(18) & 0xFFFF).isEqualTo(20 + data);
            int pseudo = TcpFrames.sum(part, 22, 32) + 6 + 20 + data;
            assertThat(TcpFrames.fold(pseudo + TcpFrames.sum(part, 54, 20 + data)))
                    .isEqualTo(0xFFFF);
        }
    }

    @Test
    void refusesFramesThatAreNotWhatTheirHeaderSays() {
        byte[] udp = TcpFrames.v4(3000);
        udp[23] = 17;
        assertThat(cut(TcpFrames.header(3000, 1000), udp)).isFalse();
        assertThat(cut(TcpFrames.header(3000, 1000), TcpFrames.v6(3000))).isFalse();
        assertThat(cut(TcpFrames.header(3000, 1), TcpFrames.v4(3000))).isFalse();
        byte[] longHeader = TcpFrames.v4(10);
        longHeader[46] = (byte) 0xF0;
        assertThat(cut(TcpFrames.header(10, 1000), longHeader)).isFalse();
        byte[] shortHeader = TcpFrames.v4(100);
        shortHeader[46] = 0x10;
        assertThat(cut(TcpFrames.header(100, 1000), shortHeader)).isFalse();
        assertThat(parts).isEmpty();
    }

    @Property(tries = 500)
    void anyBytesAreCutOrRefused(
            @ForAll @Size(min = 14, max = 300) byte[] bytes,
            @ForAll @IntRange(max = 0xFFFF) int start,
            @ForAll @IntRange(max = 0xFFFF) int partSize,
            @ForAll boolean v6) {
        parts.clear();
        var header = new OffloadHeader();
        header.setChecksum(start % 100, 16);
        header.setGso(v6 ? OffloadHeader.TCP_V6 : OffloadHeader.TCP_V4, 0, partSize);
        cut(header, bytes);
        assertThat(parts).hasSizeLessThan(6);
    }
}
