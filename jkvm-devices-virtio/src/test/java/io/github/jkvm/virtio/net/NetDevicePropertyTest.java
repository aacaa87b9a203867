package io.github.jkvm.virtio.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.virtio.queue.RingFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

class NetDevicePropertyTest {
    @Property(tries = 100)
    void everyFrameArrivesOnceAndInOrder(
            @ForAll RingFormat format,
            @ForAll @Size(min = 1, max = 60) List<@IntRange(min = 14, max = 20_000) Integer> sizes,
            // So that the longest frame fits into the 64 buffers that there can be.
            @ForAll @IntRange(min = 400, max = 4000) int bufferSize,
            @ForAll long seed) {
        var random = new SplittableRandom(seed);
        var link = new PointToPointLink();
        var sender = NetGuest.start(NetDevice.builder("net0", link.left()).build(), format);
        // Jumbo frames without an offload are let through up to the MTU.
        var receiver = NetGuest.start(
                NetDevice.builder("net0", link.right()).mtu(65_535).build(), format);
        List<byte[]> sent = new ArrayList<>();
        List<byte[]> received = new ArrayList<>();
        for (int size : sizes) {
            byte[] frame = NetGuest.frame(size);
            frame[size - 1] = (byte) sent.size();
            sent.add(frame);
            sender.driver.buffers().clear();
            sender.send(frame);
            assertThat(sender.sent()).as("room on the link").isPresent();
            if (random.nextInt(3) == 0) {
                receiver.refill(bufferSize);
                received.addAll(receiver.receiveAll());
            }
        }
        for (int i = 0; i < 3000 && received.size() < sent.size(); i++) {
            receiver.refill(bufferSize);
            received.addAll(receiver.receiveAll());
        }
        assertThat(received.stream().map(Arrays::hashCode).toList())
                .isEqualTo(sent.stream().map(Arrays::hashCode).toList());
    }
}
