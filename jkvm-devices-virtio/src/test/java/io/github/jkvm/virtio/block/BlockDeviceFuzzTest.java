package io.github.jkvm.virtio.block;

import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.block.BlockDevice.Serving;
import io.github.jkvm.virtio.fuzz.Choices;
import io.github.jkvm.virtio.fuzz.DeviceFuzz;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.queue.TestBuffers;
import io.github.jkvm.virtio.queue.TestDriver.Buffer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;

class BlockDeviceFuzzTest extends DeviceFuzzTest {
    private static final int SECTORS = 512;
    private static final int[] TYPES = {
        BlockDriver.IN,
        BlockDriver.OUT,
        BlockDriver.FLUSH,
        BlockDriver.GET_ID,
        BlockDriver.DISCARD,
        BlockDriver.WRITE_ZEROES
    };

    private int devices;

    /** One device after the other serves its requests in another way. */
    @Override
    protected DeviceFuzz fuzz() {
        Serving[] ways = Serving.values();
        return new DeviceFuzz(() -> device(ways[devices++ % ways.length]), BlockDeviceFuzzTest::request);
    }

    private static BlockDevice device(Serving serving) {
        try {
            BlockDeviceBuilder builder = BlockDevice.builder(
                            "disk0", RawImage.inMemory((long) SECTORS * DiskImage.SECTOR_BYTES))
                    .serving(serving)
                    .queues(2);
            if (serving == Serving.ON_LOOP) {
                // Its clock stands still for most cases, so that requests wait.
                builder.rateLimit(
                        RateLimiter.builder().operationsPerSecond(200_000, 16).build());
            }
            return builder.build();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void request(Choices choices, int queue, TestBuffers buffers, List<Buffer> chain) {
        int type = choices.oneIn(16) ? (int) choices.number() : TYPES[choices.below(TYPES.length)];
        long sector = choices.oneIn(8) ? choices.number() : choices.below(SECTORS);
        addCut(choices, chain, buffers.readable(BlockDriver.bytes(type, sector)));
        int length = choices.oneIn(8) ? choices.below(5000) : choices.below(16) * DiskImage.SECTOR_BYTES;
        switch (type) {
            case BlockDriver.OUT -> addCut(choices, chain, buffers.readable(new byte[length]));
            case BlockDriver.IN -> addCut(choices, chain, buffers.writable(length + 1));
            case BlockDriver.GET_ID -> chain.add(buffers.writable(choices.oneIn(4) ? choices.below(64) : 20));
            case BlockDriver.DISCARD, BlockDriver.WRITE_ZEROES ->
                addCut(choices, chain, buffers.readable(ranges(choices)));
            default -> {}
        }
        if (type != BlockDriver.IN) {
            chain.add(buffers.writable(1));
        }
    }

    private static byte[] ranges(Choices choices) {
        long[] numbers = new long[3 * (choices.oneIn(8) ? choices.below(40) : 1 + choices.below(3))];
        for (int i = 0; i < numbers.length; i += 3) {
            numbers[i] = choices.oneIn(8) ? choices.number() : choices.below(SECTORS / 2);
            numbers[i + 1] = choices.oneIn(8) ? choices.number() : choices.below(SECTORS / 2);
            numbers[i + 2] = choices.oneIn(8) ? choices.number() : choices.below(2);
        }
        return BlockDriver.ranges(numbers);
    }

    /** Adds a buffer in up to four parts. */
    private static void addCut(Choices choices, List<Buffer> chain, Buffer whole) {
        long at = 0;
        for (int part = 0; part < 3 && at < whole.length() && choices.oneIn(3); part++) {
            long count = choices.between(1, whole.length() - at);
            chain.add(new Buffer(whole.address() + at, count, whole.flags()));
            at += count;
        }
        if (at < whole.length()) {
            chain.add(new Buffer(whole.address() + at, whole.length() - at, whole.flags()));
        }
    }
}
