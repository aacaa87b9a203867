package io.github.jkvm.virtio.pmem;

import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryBacking.Sharing;
import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.fuzz.VirtioFuzz;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;

class PmemDeviceFuzzTest extends DeviceFuzzTest {
    private static final long SIZE = 4 << 20;

    @Override
    protected DeviceFuzz fuzz() {
        var file = new MemoryBacking.File(Path.of("/nowhere"), 0, SIZE, Sharing.SHARED);
        return VirtioFuzz.of(() -> new PmemDevice("pmem0", file, synced -> 0), (choices, queue) -> {
            int type = choices.oneIn(8) ? (int) choices.number() : 0;
            byte[] request = ByteBuffer.allocate(4)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putInt(type)
                    .array();
            return Chain.of().readable(request).writable(4);
        });
    }
}
