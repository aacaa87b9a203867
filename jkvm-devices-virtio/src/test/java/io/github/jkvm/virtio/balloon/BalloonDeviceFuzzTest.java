package io.github.jkvm.virtio.balloon;

import io.github.jkvm.virtio.fuzz.Choices;
import io.github.jkvm.virtio.fuzz.DeviceFuzz;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.queue.TestBuffers;
import io.github.jkvm.virtio.queue.TestDriver.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

class BalloonDeviceFuzzTest extends DeviceFuzzTest {
    /** Above the rings, so that the balloon takes no page that the driver works with. */
    private static final int FIRST_PAGE = 3000;

    private static final int PAGES = 512;

    @Override
    protected DeviceFuzz fuzz() {
        return new DeviceFuzz(
                () -> {
                    var device = new BalloonDevice("balloon0");
                    device.setTarget(64 << 12);
                    return device;
                },
                BalloonDeviceFuzzTest::request);
    }

    private static void request(Choices choices, int queue, TestBuffers buffers, List<Buffer> chain) {
        if (queue == 2) {
            // Statistics: a tag of 16 bits and a value of 64.
            chain.add(buffers.readable(choices.bytes(120)));
        } else if (queue > 2 || choices.oneIn(16)) {
            // Free pages that the driver reports, by their place.
            long page = (long) FIRST_PAGE + choices.below(PAGES);
            chain.add(Buffer.writable(page << 12, (1 + choices.below(8)) << 12));
        } else {
            ByteBuffer pages = ByteBuffer.allocate(4 * choices.below(64)).order(ByteOrder.LITTLE_ENDIAN);
            while (pages.hasRemaining()) {
                pages.putInt(choices.oneIn(16) ? (int) choices.number() | 1 << 20 : FIRST_PAGE + choices.below(PAGES));
            }
            chain.add(buffers.readable(pages.array()));
        }
    }
}
