package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.virtio.net.NetBackend.Sent;
import io.github.jkvm.virtio.queue.RingFormat;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

/** Moving frames allocates nothing, once everything has met its longest frame. */
class NetAllocationTest {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final int FRAMES = 1000;

    @Test
    void passesFramesThroughPortsWithoutAllocating() {
        Switch network = Switch.builder().build();
        SwitchPort one = network.newPort();
        SwitchPort two = network.newPort();
        TestPorts.start(one);
        // Never idle, so nobody has to be woken.
        TestPorts.start(two).reads = false;
        var frame = new Frame();
        byte[] bytes = NetGuest.frame("ff:ff:ff:ff:ff:ff", "52:54:00:00:00:0a", 1514);
        frame.add(MemorySegment.ofArray(bytes), 0, 600);
        frame.add(MemorySegment.ofArray(bytes), 600, 914);
        var room = new Frame();
        room.add(MemorySegment.ofArray(new byte[2000]), 0, 2000);
        long before = 0;
        for (int i = 0; i < 2 * FRAMES; i++) {
            if (i == FRAMES) {
                before = THREADS.getCurrentThreadAllocatedBytes();
            }
            if (one.send(0, frame) != Sent.TAKEN || two.receive(0, room) != 1514) {
                throw new AssertionError("frame " + i + " was lost");
            }
        }
        // The bean's own answer may take some.
        assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).isLessThan(FRAMES);
    }

    @Test
    void takesFramesFromAQueueWithoutAllocating() {
        var backend = new CountingBackend();
        NetDevice device = NetDevice.builder("net0", backend).build();
        var guest = NetGuest.start(device, RingFormat.SPLIT);
        Buffer header = guest.driver.buffers().readable(new byte[12]);
        Buffer frame = guest.driver.buffers().readable(NetGuest.frame(1514));
        long least = Long.MAX_VALUE;
        for (int round = 0; round < 50; round++) {
            for (int i = 0; i < 30; i++) {
                guest.driver.queue(NetGuest.TRANSMIT).add(header, frame);
            }
            long before = THREADS.getCurrentThreadAllocatedBytes();
            guest.driver.kick(NetGuest.TRANSMIT);
            least = Math.min(least, THREADS.getCurrentThreadAllocatedBytes() - before);
            for (int i = 0; i < 30; i++) {
                assertThat(guest.sent()).isPresent();
            }
        }
        assertThat(backend.bytes).isEqualTo(50 * 30 * 1514);
        // The notification itself, through the test's machine, takes some: less than a byte for each byte of a frame.
        assertThat(least).as("bytes for 30 frames").isLessThan(1000);
    }
}
