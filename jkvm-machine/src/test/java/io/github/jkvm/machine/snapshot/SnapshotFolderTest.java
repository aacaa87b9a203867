package io.github.jkvm.machine.snapshot;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.machine.BadSnapshotException;
import io.github.jkvm.machine.snapshot.SnapshotFolder.Extent;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SnapshotFolderTest {
    @TempDir
    private Path folder;

    private void save(long number) throws IOException {
        SnapshotFolder.save(
                folder, TestMachines.pc(number), TestMemory.layer(TestMachines.memory(number)), Extent.WHOLE);
    }

    private SnapshotFolder.Opened open() throws IOException {
        return SnapshotFolder.open(List.of(folder));
    }

    private Path index() {
        return folder.resolve(SnapshotFolder.INDEX);
    }

    private Path memoryFile() throws IOException {
        return files().stream()
                .filter(file -> file.getFileName().toString().startsWith(MemoryFile.PREFIX))
                .findFirst()
                .orElseThrow();
    }

    private List<Path> files() throws IOException {
        try (var files = Files.list(folder)) {
            return files.toList();
        }
    }

    private static void assertIs(SnapshotFolder.Opened opened, long number) {
        SavedMachine expected = TestMachines.pc(number);
        assertThat(opened.machine().shape()).isEqualTo(expected.shape());
        assertThat(opened.machine().cpus()).isEqualTo(expected.cpus());
        assertThat(opened.machine().chips()).isEqualTo(expected.chips());
        assertThat(opened.machine().devices().sequencedKeySet()).containsExactly("serial0", "disk0");
        assertThat(opened.machine().devices().get("disk0").number("number")).isEqualTo(number);
        assertThat(TestMemory.asRestored(opened.contents()).mismatch(TestMachines.memory(number)))
                .isEqualTo(-1);
        assertThat(opened.contents().layer().problems()).isEmpty();
    }

    @Test
    void whatIsOpenedIsWhatWasSaved() throws Exception {
        save(1);
        try (SnapshotFolder.Opened opened = open()) {
            assertIs(opened, 1);
        }
    }

    @Test
    void aSecondSaveTakesThePlaceOfTheFirstAndLeavesNothingOfItBehind() throws Exception {
        save(1);
        Path old = memoryFile();
        try (SnapshotFolder.Opened first = open()) {
            save(2);
            assertIs(first, 1);
        }
        try (SnapshotFolder.Opened second = open()) {
            assertIs(second, 2);
        }
        assertThat(old).doesNotExist();
        assertThat(files()).hasSize(3).contains(index(), memoryFile());
    }

    @Test
    void leavesFilesOfOthersAlone() throws Exception {
        Path other = Files.writeString(folder.resolve("notes.txt"), "mine");
        save(1);
        save(2);
        assertThat(other).hasContent("mine");
    }

    @Test
    void zerosTakeNoRoomOnTheDisk() throws Exception {
        byte[] mostlyZeros = new byte[(int) TestMachines.MEMORY];
        mostlyZeros[1 << 20] = 1;
        SnapshotFolder.save(
                folder, TestMachines.pc(1), TestMemory.layer(MemorySegment.ofArray(mostlyZeros)), Extent.WHOLE);
        long blocks = ((Number) Files.getAttribute(memoryFile(), "unix:size")).longValue();
        assertThat(blocks).isEqualTo(TestMachines.MEMORY);
        assertThat(bytesOnDisk(memoryFile())).isLessThan(64 << 10);
    }

    private static long bytesOnDisk(Path file) throws Exception {
        Process du = new ProcessBuilder("du", "--block-size=1", file.toString()).start();
        String answer = new String(du.getInputStream().readAllBytes(), UTF_8);
        assertThat(du.waitFor()).isZero();
        return Long.parseLong(answer.split("\\s+", 2)[0]);
    }

    @Test
    void anEmptyFolderHasNoSnapshot() {
        assertThatExceptionOfType(NoSuchFileException.class).isThrownBy(() -> open());
    }

    @Test
    void twoSavesAtOnceToOneFolderAreRefused() throws Exception {
        save(1);
        try (var lock = FileChannel.open(folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                var held = lock.lock()) {
            assertThat(held.isValid()).isTrue();
            assertThatThrownBy(() -> save(2))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("another snapshot is being saved to " + folder);
        }
        try (SnapshotFolder.Opened opened = open()) {
            assertIs(opened, 1);
        }
    }

    @Test
    void aSaveThatFailsLeavesTheOldSnapshotAndNoRest() throws Exception {
        save(1);
        List<Path> before = files();
        // A memory that is gone while it is written.
        Layer gone;
        try (var arena = Arena.ofConfined()) {
            gone = Layer.taken(
                    null,
                    TestMachines.MEMORY,
                    BitSet.valueOf(new long[] {1}),
                    TestMemory.image(arena.allocate(TestMachines.MEMORY)));
        }
        assertThatThrownBy(() -> SnapshotFolder.save(folder, TestMachines.pc(2), gone, Extent.WHOLE))
                .isInstanceOf(IllegalStateException.class);
        assertThat(files()).containsExactlyInAnyOrderElementsOf(before);
        try (SnapshotFolder.Opened opened = open()) {
            assertIs(opened, 1);
        }
    }

    @Test
    void everyFlippedBitIsFoundAndTheSectionNamed() throws Exception {
        save(1);
        byte[] good = Files.readAllBytes(index());
        var random = new Random(7);
        for (int i = 0; i < 3000; i++) {
            byte[] bad = good.clone();
            int at = i < 200 ? i : random.nextInt(bad.length);
            bad[at] ^= (byte) (1 << random.nextInt(8));
            Files.write(index(), bad);
            assertThatThrownBy(() -> open())
                    .as("bit of byte %d", at)
                    .isInstanceOf(BadSnapshotException.class)
                    .hasMessageContaining("section '");
        }
    }

    @Test
    void everyTruncationIsFound() throws Exception {
        save(1);
        byte[] good = Files.readAllBytes(index());
        for (int length = 0; length < good.length; length += 1 + length / 50) {
            Files.write(index(), Arrays.copyOf(good, length));
            assertThatThrownBy(() -> open())
                    .as("%d bytes", length)
                    .isInstanceOf(BadSnapshotException.class)
                    .hasMessageContaining("section '");
        }
        Files.write(index(), Arrays.copyOf(good, good.length + 1));
        assertThatThrownBy(() -> open()).hasMessageContaining("followed by 1 stray bytes");
    }

    @Test
    void anotherVersionIsRefusedByName() throws Exception {
        save(1);
        byte[] file = Files.readAllBytes(index());
        ByteBuffer.wrap(file).putInt(8, 99);
        Files.write(index(), file);
        assertThatThrownBy(() -> open())
                .isInstanceOf(BadSnapshotException.class)
                .hasMessageContaining("section 'header' says version 99; this build reads version 1");
    }

    @Test
    void damagedMemoryIsFoundOnDemandAndPlaced() throws Exception {
        save(1);
        try (var channel = FileChannel.open(memoryFile(), StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.wrap(new byte[] {1}), 0x30_0001);
        }
        try (SnapshotFolder.Opened opened = open()) {
            assertThat(opened.contents().layer().problems())
                    .singleElement()
                    .asString()
                    .startsWith("bytes 0x200000 to 0x3fffff of memory-");
        }
    }

    @Test
    void memoryThatIsCutShortIsNeverMapped() throws Exception {
        save(1);
        try (var channel = FileChannel.open(memoryFile(), StandardOpenOption.WRITE)) {
            channel.truncate(TestMachines.MEMORY - 1);
        }
        assertThatThrownBy(() -> open())
                .isInstanceOf(BadSnapshotException.class)
                .hasMessageContaining("section 'memory' tells of 6291456 bytes")
                .hasMessageContaining("has 6291455");
    }

    @Test
    void memoryBehindALinkIsRefused() throws Exception {
        save(1);
        Path real = memoryFile();
        Path elsewhere = Files.move(real, folder.resolve("elsewhere"));
        Files.createSymbolicLink(real, elsewhere);
        assertThatThrownBy(() -> open())
                .isInstanceOf(BadSnapshotException.class)
                .hasMessageContaining("which is no file, or not there");
    }

    @Test
    void memoryThatIsMissingIsNamed() throws Exception {
        save(1);
        Files.delete(memoryFile());
        assertThatThrownBy(() -> open())
                .isInstanceOf(BadSnapshotException.class)
                .hasMessageContaining("section 'memory' names");
    }
}
