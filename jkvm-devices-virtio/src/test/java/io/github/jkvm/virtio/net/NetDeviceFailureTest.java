package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.virtio.queue.RingFormat;
import java.time.Duration;
import java.util.Arrays;
import java.util.Set;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What fails below a network device, or is made to fail by a guest, ends in a request for a reset or a lost frame and goes no further. */
class NetDeviceFailureTest {
    /** Registers code with the loop of its device, which throws. */
    private static final class FailingBackend extends CountingBackend {
        private final BiConsumer<EventLoop, Runnable> register;

        FailingBackend(BiConsumer<EventLoop, Runnable> register) {
            this.register = register;
        }

        @Override
        public void start(EventLoop loop, Events events) {
            register.accept(loop, () -> {
                throw new HypervisorException("as the test wants it");
            });
        }
    }

    private static void assertAsksForReset(
            BiConsumer<EventLoop, Runnable> register, BiConsumer<NetGuest, NetDevice> happen) {
        NetDevice device =
                NetDevice.builder("net0", new FailingBackend(register)).build();
        var guest = NetGuest.start(device, RingFormat.SPLIT);
        happen.accept(guest, device);
        assertThat(guest.driver.needsReset()).isTrue();
        assertThat(device.counters()).containsEntry("failures", 1L);
    }

    @Test
    void asksForAResetIfItsBackendFailsWhenASourceIsReady() {
        var source = new EventSource() {};
        assertAsksForReset(
                (loop, fail) -> loop.onReady(source, ready -> fail.run()),
                (guest, device) -> guest.driver.loop().ready(source, EventSource.READABLE));
    }

    @Test
    void asksForAResetIfItsBackendFailsAfterADelay() {
        assertAsksForReset(
                (loop, fail) -> loop.schedule(Duration.ofSeconds(1), fail),
                (guest, device) -> guest.driver.loop().advance(Duration.ofSeconds(1)));
    }

    @Test
    void asksForAResetIfItsBackendFailsInItsTurn() {
        assertAsksForReset(EventLoop::execute, (guest, device) -> guest.driver.run());
    }

    @Test
    void asksForAResetIfItCannotTellTheLink() {
        var backend = new CountingBackend() {
            boolean fails;

            @Override
            public LinkState link() {
                if (fails) {
                    throw new HypervisorException("as the test wants it");
                }
                return LinkState.UP;
            }
        };
        NetDevice device = NetDevice.builder("net0", backend).build();
        var guest = NetGuest.start(device, RingFormat.SPLIT);
        backend.fails = true;
        device.setLink(LinkState.UP);
        guest.driver.run();
        assertThat(guest.driver.needsReset()).isTrue();
        assertThat(device.counters()).containsEntry("failures", 1L);
    }

    @ParameterizedTest
    @EnumSource
    void losesNoMoreThanTheFrameThatIsTooLongForBuffersInTooManyPieces(RingFormat format) {
        var backend = new FakeBackend();
        backend.offloads = Set.of();
        NetDevice device = NetDevice.builder("net0", backend).build();
        var guest = NetGuest.start(device, format);
        // 64 chains of 16 pieces: room for 1780 bytes behind a header, in one piece more than a call of the kernel
        // takes.
        Buffer[] pieces = new Buffer[16];
        Arrays.setAll(pieces, i -> guest.driver.buffers().writable(i == 0 ? 13 : 1));
        for (int i = 0; i < 64; i++) {
            guest.driver.queue(NetGuest.RECEIVE).addIndirect(pieces);
        }
        guest.driver.kick(NetGuest.RECEIVE);
        backend.give(NetGuest.frame(1780));
        backend.give(NetGuest.frame(900));
        backend.events.readable(0);
        assertThat(device.counters())
                .containsEntry("receivedFrames", 1L)
                .containsEntry("receiveDropped", 1L)
                .containsEntry("failures", 0L);
        assertThat(guest.driver.needsReset()).isFalse();
    }
}
