package io.github.jkvm.virtio.block;

import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.Choices;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.block.BlockDevice.Serving;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.fuzz.VirtioFuzz;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;

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
        return VirtioFuzz.of(() -> device(ways[devices++ % ways.length]), BlockDeviceFuzzTest::request);
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

    private static Chain request(Choices choices, int queue) {
        Chain chain = Chain.of();
        int type = choices.oneIn(16) ? (int) choices.number() : TYPES[choices.below(TYPES.length)];
        long sector = choices.oneIn(8) ? choices.number() : choices.below(SECTORS);
        chain = readable(choices, chain, BlockDriver.bytes(type, sector));
        int length = choices.oneIn(8) ? choices.below(5000) : choices.below(16) * DiskImage.SECTOR_BYTES;
        switch (type) {
            case BlockDriver.OUT -> chain = readable(choices, chain, new byte[length]);
            case BlockDriver.IN -> chain = writable(choices, chain, length + 1);
            case BlockDriver.GET_ID -> chain = chain.writable(choices.oneIn(4) ? choices.below(64) : 20);
            case BlockDriver.DISCARD, BlockDriver.WRITE_ZEROES -> chain = readable(choices, chain, ranges(choices));
            default -> {}
        }
        return type != BlockDriver.IN ? chain.writable(1) : chain;
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

    /** Adds bytes in up to four parts. */
    private static Chain readable(Choices choices, Chain chain, byte[] bytes) {
        int at = 0;
        for (int part = 0; part < 3 && at < bytes.length && choices.oneIn(3); part++) {
            int end = (int) choices.between(at + 1, bytes.length);
            chain = chain.readable(Arrays.copyOfRange(bytes, at, end));
            at = end;
        }
        return at < bytes.length ? chain.readable(Arrays.copyOfRange(bytes, at, bytes.length)) : chain;
    }

    /** Adds room in up to four parts. */
    private static Chain writable(Choices choices, Chain chain, int length) {
        int left = length;
        for (int part = 0; part < 3 && left > 0 && choices.oneIn(3); part++) {
            int count = (int) choices.between(1, left);
            chain = chain.writable(count);
            left -= count;
        }
        return left > 0 ? chain.writable(left) : chain;
    }
}
