package io.github.jkvm.virtio.balloon;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.Choices;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.fuzz.VirtioFuzz;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

class BalloonDeviceFuzzTest extends DeviceFuzzTest {
    /** Above the rings, so that the balloon takes no page that the driver works with. */
    private static final int FIRST_PAGE = 3000;

    private static final int PAGES = 512;

    @Override
    protected DeviceFuzz fuzz() {
        return VirtioFuzz.of(
                () -> {
                    var device = new BalloonDevice("balloon0");
                    device.setTarget(64 << 12);
                    return device;
                },
                BalloonDeviceFuzzTest::request);
    }

    private static Chain request(Choices choices, int queue) {
        if (queue == 2) {
            // Statistics: a tag of 16 bits and a value of 64.
            return Chain.of().readable(choices.bytes(120));
        } else if (queue > 2 || choices.oneIn(16)) {
            // Free pages that the driver reports, by their place.
            long page = (long) FIRST_PAGE + choices.below(PAGES);
            return Chain.of().buffer(Buffer.writable(page << 12, (1 + choices.below(8)) << 12));
        } else {
            ByteBuffer pages = ByteBuffer.allocate(4 * choices.below(64)).order(ByteOrder.LITTLE_ENDIAN);
            while (pages.hasRemaining()) {
                pages.putInt(choices.oneIn(16) ? (int) choices.number() | 1 << 20 : FIRST_PAGE + choices.below(PAGES));
            }
            return Chain.of().readable(pages.array());
        }
    }
}
