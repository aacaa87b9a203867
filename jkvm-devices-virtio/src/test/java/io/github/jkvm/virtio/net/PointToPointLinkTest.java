package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.virtio.net.NetBackend.Sent;
import io.github.jkvm.virtio.queue.RingFormat;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PointToPointLinkTest {
    private final PointToPointLink link = new PointToPointLink();

    @Test
    void carriesFramesBothWays() {
        var left = TestPorts.start(link.left());
        var right = TestPorts.start(link.right());
        byte[] there = NetGuest.frame(60);
        byte[] back = NetGuest.frame(1500);
        assertThat(left.send(there)).isEqualTo(Sent.TAKEN);
        assertThat(right.send(back)).isEqualTo(Sent.TAKEN);
        assertThat(right.receiveAll()).containsExactly(there);
        assertThat(left.receiveAll()).containsExactly(back);
    }

    @Test
    void losesFramesWhenNobodyIsThere() {
        var left = TestPorts.start(link.left());
        assertThat(left.send(NetGuest.frame(60))).isEqualTo(Sent.DROPPED);
        var right = TestPorts.start(link.right());
        assertThat(right.receiveAll()).isEmpty();
    }

    @Test
    void makesTheSenderWaitForTheReceiver() {
        var left = TestPorts.start(link.left());
        var right = TestPorts.start(link.right());
        right.reads = false;
        List<byte[]> sent = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            byte[] frame = NetGuest.frame(60_000 - i);
            if (left.send(frame) == Sent.FULL) {
                break;
            }
            sent.add(frame);
        }
        assertThat(sent).hasSizeBetween(60, 69);
        right.reads = true;
        right.readable(0);
        left.loop.run();
        assertThat(left.writable).isEqualTo(1);
        assertThat(right.receiveAll()).containsExactlyElementsOf(sent);
        assertThat(left.send(NetGuest.frame(60))).isEqualTo(Sent.TAKEN);
    }

    @Test
    void letsTheSenderGoOnWhenTheReceiverStops() {
        var left = TestPorts.start(link.left());
        var right = TestPorts.start(link.right());
        right.reads = false;
        byte[] frame = NetGuest.frame(60_000);
        for (Sent sent = Sent.TAKEN; sent == Sent.TAKEN; ) {
            sent = left.send(frame);
        }
        link.right().stop();
        left.loop.run();
        assertThat(left.writable).isEqualTo(1);
        assertThat(left.send(frame)).isEqualTo(Sent.DROPPED);
    }

    @Test
    void waitsForRoomForAllPartsOfAFrameThatIsCut() {
        var left = TestPorts.start(link.left());
        var right = TestPorts.start(link.right());
        right.reads = false;
        int sent = 0;
        while (left.send(TcpFrames.header(60_000, 1000), TcpFrames.v4(60_000)) == Sent.TAKEN) {
            sent++;
        }
        right.reads = true;
        right.readable(0);
        assertThat(right.receiveAll()).hasSize(60 * sent);
    }

    @Test
    void survivesALoopThatIsClosed() {
        var left = TestPorts.start(link.left());
        var right = TestPorts.start(link.right());
        right.loop.close();
        left.send(NetGuest.frame(60));
        assertThat(left.send(NetGuest.frame(60))).isEqualTo(Sent.DROPPED);
        assertThat(right.received).isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void carriesFramesFromOneGuestToTheOther(RingFormat format) {
        NetDevice first = NetDevice.builder("net0", link.left()).build();
        NetDevice second = NetDevice.builder("net0", link.right()).build();
        var left = NetGuest.start(first, format);
        var right = NetGuest.start(second, format);
        right.post(60, 2000);
        List<byte[]> frames = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            frames.add(NetGuest.frame(1000 + i));
            left.send(frames.get(i));
        }
        assertThat(right.receiveAll()).containsExactlyElementsOf(frames);
    }
}
