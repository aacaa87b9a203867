package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.virtio.net.NetBackend.Sent;
import java.time.Duration;
import java.util.EnumSet;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class SwitchTest {
    private static final String A = "52:54:00:00:00:0a";
    private static final String B = "52:54:00:00:00:0b";
    private static final String C = "52:54:00:00:00:0c";
    private static final String ALL = "ff:ff:ff:ff:ff:ff";

    private final AtomicLong now = new AtomicLong();
    private final Switch network =
            Switch.builder().clock(now::get).age(Duration.ofSeconds(100)).build();
    private final SwitchPort portA = network.newPort();
    private final SwitchPort portB = network.newPort();
    private final SwitchPort portC = network.newPort();
    private final TestPorts a = TestPorts.start(portA);
    private final TestPorts b = TestPorts.start(portB);
    private final TestPorts c = TestPorts.start(portC);

    @Test
    void sendsToAllWhatIsForAStationItDoesNotKnow() {
        byte[] frame = NetGuest.frame(B, A, 60);
        assertThat(a.send(frame)).isEqualTo(Sent.TAKEN);
        assertThat(b.receiveAll()).containsExactly(frame);
        assertThat(c.receiveAll()).containsExactly(frame);
        assertThat(a.receiveAll()).isEmpty();
    }

    @Test
    void sendsToTheOnePortOfAStationItHasHeardOf() {
        b.send(NetGuest.frame(ALL, B, 60));
        assertThat(a.receiveAll()).hasSize(1);
        assertThat(c.receiveAll()).hasSize(1);
        byte[] frame = NetGuest.frame(B, A, 60);
        a.send(frame);
        assertThat(b.receiveAll()).containsExactly(frame);
        assertThat(c.receiveAll()).isEmpty();
    }

    @Test
    void followsAStationToAnotherPort() {
        b.send(NetGuest.frame(ALL, B, 60));
        c.send(NetGuest.frame(ALL, B, 60));
        receiveNothingOf(a, b, c);
        a.send(NetGuest.frame(B, A, 60));
        assertThat(b.receiveAll()).isEmpty();
        assertThat(c.receiveAll()).hasSize(1);
    }

    private static void receiveNothingOf(TestPorts... ports) {
        for (TestPorts port : ports) {
            port.receiveAll();
        }
    }

    @Test
    void forgetsAStationThatIsSilent() {
        b.send(NetGuest.frame(ALL, B, 60));
        receiveNothingOf(a, c);
        now.addAndGet(Duration.ofSeconds(101).toNanos());
        a.send(NetGuest.frame(B, A, 60));
        assertThat(c.receiveAll()).hasSize(1);
    }

    @Test
    void forgetsTheStationsOfAPortThatStops() {
        b.send(NetGuest.frame(ALL, B, 60));
        receiveNothingOf(a, c);
        portB.stop();
        a.send(NetGuest.frame(B, A, 60));
        assertThat(c.receiveAll()).hasSize(1);
        assertThat(b.receiveAll()).isEmpty();
    }

    @Test
    void doesNotSendAFrameBackToWhereItCameFrom() {
        a.send(NetGuest.frame(ALL, A, 60));
        a.send(NetGuest.frame(ALL, C, 60));
        receiveNothingOf(b, c);
        assertThat(a.send(NetGuest.frame(C, A, 60))).isEqualTo(Sent.DROPPED);
        assertThat(a.receiveAll()).isEmpty();
    }

    @Test
    void keepsFramesBetweenNeighboursToItself() {
        // IEEE 802.1D, 7.12.6: reserved addresses are not relayed.
        assertThat(a.send(NetGuest.frame("01:80:c2:00:00:0e", A, 60))).isEqualTo(Sent.DROPPED);
        assertThat(b.receiveAll()).isEmpty();
    }

    @Test
    void losesFramesForAPortThatIsFullAndCountsThem() {
        b.send(NetGuest.frame(ALL, B, 60));
        b.reads = false;
        int sent = 0;
        while (a.send(NetGuest.frame(B, A, 60_000)) == Sent.TAKEN) {
            sent++;
            assertThat(sent).isLessThan(100);
        }
        // 4 MiB wait at most.
        assertThat(sent).isBetween(60, 69);
        assertThat(portB.missedFrames()).isEqualTo(1);
        b.reads = true;
        b.readable(0);
        assertThat(b.receiveAll()).hasSize(sent);
        assertThat(a.send(NetGuest.frame(B, A, 60_000))).isEqualTo(Sent.TAKEN);
    }

    @Test
    void guestThatMakesUpAddressesPushesNobodyOut() {
        b.send(NetGuest.frame(ALL, B, 60));
        for (int i = 0; i < 20_000; i++) {
            a.send(NetGuest.frame(A, String.format("52:54:01:%02x:%02x:%02x", i >> 16, i >> 8 & 0xFF, i & 0xFF), 60));
        }
        receiveNothingOf(a, b, c);
        c.send(NetGuest.frame(B, C, 60));
        assertThat(b.receiveAll()).hasSize(1);
        assertThat(a.receiveAll()).isEmpty();
        assertThat(portA.learned).isBetween(1, 256);
    }

    @Test
    void passesOnWhatIsLeftToDoWhereItIsAgreedOn() {
        b.backend.guestAccepts(EnumSet.allOf(Offload.class));
        byte[] frame = TcpFrames.v4(4000);
        a.send(TcpFrames.header(4000, 1000), frame);
        assertThat(b.receiveAll()).containsExactly(frame);
        assertThat(b.headers.getFirst().gsoSize()).isEqualTo(1000);
        assertThat(b.headers.getFirst().needsChecksum()).isTrue();
        // And cut for the other one, which does not.
        assertThat(c.receiveAll())
                .hasSize(4)
                .allSatisfy(part -> assertThat(part.length).isLessThanOrEqualTo(1000 + TcpFrames.V4_HEADERS));
        assertThat(c.headers)
                .allSatisfy(header -> assertThat(header.needsChecksum()).isFalse());
    }

    @Test
    void unplugsAPortThatIsClosed() {
        portB.close();
        assertThat(network.ports()).containsExactly(portA, portC);
        portB.close();
        network.close();
        assertThat(portA.link()).isEqualTo(LinkState.DOWN);
        assertThat(a.send(NetGuest.frame(ALL, A, 60))).isEqualTo(Sent.DROPPED);
        assertThatThrownBy(network::newPort).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void refusesSettingsOutOfRange() {
        var builder = Switch.builder();
        assertThatThrownBy(() -> builder.queueBytes(1000)).hasMessageContaining("262144");
        assertThatThrownBy(() -> builder.addresses(17)).hasMessageContaining("power of two");
        assertThatThrownBy(() -> builder.age(Duration.ZERO)).hasMessageContaining("more than zero");
    }
}
