package io.github.jkvm.sandbox.function;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** No file makes the reader of guests throw anything but a {@link BadGuestException}, hang, or take memory without bound. */
class GuestImageFuzzTest {
    private static final long CASES = Long.getLong("jkvm.fuzz.cases", 20_000);
    private static final long SEED = Long.getLong("jkvm.fuzz.seed", 0x656C66L);
    private static final long ALLOCATION_LIMIT = 64 << 20;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @Test
    void survivesAnyFile() {
        byte[] good = TestElf.bytes();
        assertThat(isTaken(good)).isTrue();
        int refused = 0;
        for (long i = 0; i < CASES; i++) {
            long seed = SEED + i;
            try {
                long before = THREADS.getCurrentThreadAllocatedBytes();
                refused += isTaken(changed(good, new SplittableRandom(seed))) ? 0 : 1;
                assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).isLessThan(ALLOCATION_LIMIT);
            } catch (RuntimeException | Error e) {
                throw new AssertionError("repeat with -Djkvm.fuzz.cases=1 -Djkvm.fuzz.seed=" + seed, e);
            }
        }
        assertThat(refused).as("of " + CASES).isGreaterThan((int) (CASES / 8));
    }

    private static boolean isTaken(byte[] file) {
        try {
            var image = new GuestImage(file);
            long end = GuestImage.pageEnd(image.parts().getLast().end());
            var types = new GuestTypes(end);
            GuestInterface functions = GuestInterface.read(image, types);
            var plan = new MemoryPlan(end, types.end(), GuestSizes.DEFAULT);
            assertThat(plan.heapEnd()).isGreaterThan(plan.heapStart());
            assertThat(functions.exports().size()).isLessThanOrEqualTo(file.length);
            return true;
        } catch (BadGuestException refused) {
            assertThat(refused).hasMessageStartingWith("the guest can't be loaded: ");
            return false;
        }
    }

    private static byte[] changed(byte[] good, SplittableRandom random) {
        byte[] bad = random.nextInt(8) == 0 ? Arrays.copyOf(good, random.nextInt(good.length + 8)) : good.clone();
        ByteBuffer numbers = ByteBuffer.wrap(bad).order(ByteOrder.LITTLE_ENDIAN);
        int[] starts = {
            0, 0, TestElf.TABLES, TestElf.TABLES + 0x100, TestElf.TABLES + 0x200, TestElf.TABLES + 0x400, TestElf.DATA
        };
        for (int i = random.nextInt(4); i >= 0; i--) {
            int at = starts[random.nextInt(starts.length)] + random.nextInt(300);
            if (at > bad.length - Long.BYTES) {
                continue;
            }
            switch (random.nextInt(6)) {
                case 0 -> numbers.putLong(at & -8, random.nextLong());
                case 1 -> numbers.putLong(at & -8, -1L >>> random.nextInt(64));
                case 2 -> numbers.putInt(at, 1 << random.nextInt(32));
                case 3 -> numbers.put(at, (byte) random.nextInt());
                case 4 -> numbers.put(at, (byte) "*;(,) intcv\0".charAt(random.nextInt(12)));
                default -> numbers.put(at, (byte) (numbers.get(at) ^ 1 << random.nextInt(8)));
            }
        }
        return bad;
    }
}
