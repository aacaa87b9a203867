package io.github.jkvm.machine.snapshot;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.Bytes;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** No file makes the reader of snapshots throw anything but a {@link BadSectionException}, hang, or take memory without bound. */
class SnapshotFuzzTest {
    private static final long CASES = Long.getLong("jkvm.fuzz.cases", 5_000);
    private static final long SEED = Long.getLong("jkvm.fuzz.seed", 0x736E6170L);
    private static final long ALLOCATION_LIMIT = 16 << 20;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @Test
    void survivesAnyFile() throws IOException {
        SequencedMap<String, Bytes> good = TestMachines.pc(1).toSections();
        byte[] file = SectionFile.encode(good);
        int refused = 0;
        for (long i = 0; i < CASES; i++) {
            long seed = SEED + i;
            try {
                long before = THREADS.getCurrentThreadAllocatedBytes();
                refused += runCase(good, file, new SplittableRandom(seed)) ? 0 : 1;
                assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).isLessThan(ALLOCATION_LIMIT);
            } catch (RuntimeException | Error e) {
                throw new AssertionError("repeat with -Djkvm.fuzz.cases=1 -Djkvm.fuzz.seed=" + seed, e);
            }
        }
        assertThat(refused).as("of " + CASES).isGreaterThan((int) (CASES / 4));
    }

    /** Reads a file that was changed: as it is, or with checksums that fit, by which it gets further. Returns whether it was taken. */
    private static boolean runCase(SequencedMap<String, Bytes> good, byte[] file, SplittableRandom random)
            throws IOException {
        byte[] bad;
        if (random.nextInt(4) == 0) {
            bad = changed(file, random);
        } else {
            SequencedMap<String, Bytes> sections = new LinkedHashMap<>(good);
            String[] names = sections.keySet().toArray(String[]::new);
            for (int i = random.nextInt(3); i >= 0; i--) {
                String name = names[random.nextInt(names.length)];
                switch (random.nextInt(12)) {
                    case 0 -> sections.remove(name);
                    case 1 -> sections.put(name + random.nextInt(3), good.get(name));
                    default ->
                        sections.put(name, Bytes.copyOf(changed(good.get(name).toArray(), random)));
                }
            }
            bad = SectionFile.encode(sections);
        }
        try {
            SavedMachine machine = SavedMachine.of(SectionFile.decode(bad));
            assertThat(machine.shape().ram()).isNotEmpty();
            return true;
        } catch (BadSectionException refused) {
            assertThat(refused).hasMessageStartingWith("section '");
            return false;
        }
    }

    private static byte[] changed(byte[] bytes, SplittableRandom random) {
        byte[] bad = random.nextInt(8) == 0 ? Arrays.copyOf(bytes, random.nextInt(bytes.length + 8)) : bytes.clone();
        ByteBuffer numbers = ByteBuffer.wrap(bad);
        for (int i = random.nextInt(4); i >= 0 && bad.length >= Long.BYTES; i--) {
            int at = random.nextInt(bad.length - Long.BYTES + 1);
            switch (random.nextInt(5)) {
                case 0 -> numbers.putLong(at, random.nextLong());
                case 1 -> numbers.putInt(at, 1 << random.nextInt(32));
                case 2 -> numbers.putInt(at, -1 >>> random.nextInt(32));
                case 3 -> numbers.put(at, (byte) random.nextInt());
                default -> numbers.put(at, (byte) (numbers.get(at) ^ 1 << random.nextInt(8)));
            }
        }
        return bad;
    }
}
