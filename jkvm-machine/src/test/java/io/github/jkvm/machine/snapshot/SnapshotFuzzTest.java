package io.github.jkvm.machine.snapshot;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.github.jkvm.Bytes;
import io.github.jkvm.machine.BadSnapshotException;
import io.github.jkvm.machine.snapshot.SnapshotFolder.Extent;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** No file makes the reader of snapshots throw anything but a {@link BadSectionException}, hang, or take memory without bound. */
class SnapshotFuzzTest {
    private static final long CASES = Long.getLong("jkvm.fuzz.cases", 5_000);
    private static final long SEED = Long.getLong("jkvm.fuzz.seed", 0x736E6170L);
    private static final long ALLOCATION_LIMIT = 16 << 20;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @TempDir
    private Path folder;

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

    /** The description of a memory and of what it builds on, with checksums that fit: never more than a refusal, or a guest with wrong bytes of its own. */
    @Test
    void survivesAnyDescriptionOfAnIncrement() throws Exception {
        Path base = folder.resolve("base");
        Path increment = folder.resolve("increment");
        Layer whole = TestMemory.layer(TestMachines.memory(1));
        var above = Layer.taken(
                whole,
                TestMachines.MEMORY,
                BitSet.valueOf(new long[] {-1, 3}),
                TestMemory.image(TestMachines.memory(2)));
        SnapshotFolder.save(base, TestMachines.pc(1), whole, Extent.WHOLE);
        SnapshotFolder.save(increment, TestMachines.pc(2), above, Extent.INCREMENT);
        Path index = increment.resolve(SnapshotFolder.INDEX);
        SequencedMap<String, Bytes> good = SectionFile.decode(Files.readAllBytes(index));
        byte[] description = good.get(SnapshotFolder.MEMORY).toArray();
        int refused = 0;
        for (long i = 0; i < CASES / 5; i++) {
            long seed = SEED + i;
            SequencedMap<String, Bytes> sections = new LinkedHashMap<>(good);
            sections.put(SnapshotFolder.MEMORY, Bytes.copyOf(changed(description, new SplittableRandom(seed))));
            Files.write(index, SectionFile.encode(sections));
            try (var opened = SnapshotFolder.open(List.of(base, increment))) {
                assertThat(opened.contents().layer().problems()).isNotNull();
                assertThat(TestMemory.asRestored(opened.contents()).byteSize()).isEqualTo(TestMachines.MEMORY);
            } catch (BadSnapshotException bad) {
                assertThat(bad).hasMessageContaining("section 'memory'");
                refused++;
            } catch (RuntimeException | Error e) {
                throw new AssertionError("repeat with -Djkvm.fuzz.cases=5 -Djkvm.fuzz.seed=" + seed, e);
            }
        }
        assertThat(refused).as("of " + CASES / 5).isGreaterThan((int) (CASES / 20));
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
