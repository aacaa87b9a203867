package io.github.jkvm.machine.snapshot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Bytes;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.Vm;
import io.github.jkvm.machine.BadSnapshotException;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.snapshot.SnapshotFolder.Extent;
import io.github.jkvm.machine.state.Pages;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Increments in folders: "base" is whole, "first" builds on it, "second" on that. */
class IncrementFolderTest {
    private static final List<GuestRange> RAM = List.of(new GuestRange(0, TestMachines.MEMORY));
    private static final long PAGE_OF_FIRST = 0x1_5000;
    private static final long PAGE_OF_SECOND = 0x40_3000;

    @TempDir
    private Path folder;

    private final List<Layer> layers = new ArrayList<>();
    private MemorySegment now;

    @BeforeEach
    void saveThree() throws IOException {
        MemoryRegion region = TestMemory.region(0, TestMachines.memory(1), Optional::empty);
        Vm vm = TestMemory.vm(List.of(region));
        var record = new MemoryRecord(vm, RAM, null);
        now = region.segment();
        layers.add(record.copy(TestMemory.HYPERVISOR, null));
        SnapshotFolder.save(base(), TestMachines.pc(0), layers.getLast(), Extent.WHOLE);
        for (Path increment : List.of(first(), second())) {
            vm.memory().writeLong(increment.equals(first()) ? PAGE_OF_FIRST : PAGE_OF_SECOND, layers.size());
            layers.add(record.copy(TestMemory.HYPERVISOR, layers.getLast()));
            SnapshotFolder.save(increment, TestMachines.pc(layers.size() - 1), layers.getLast(), Extent.INCREMENT);
        }
    }

    @AfterEach
    void release() {
        layers.forEach(Layer::release);
    }

    private Path base() {
        return folder.resolve("base");
    }

    private Path first() {
        return folder.resolve("first");
    }

    private Path second() {
        return folder.resolve("second");
    }

    private static Path memoryFile(Path folder) throws IOException {
        try (var files = Files.newDirectoryStream(folder, MemoryFile.PREFIX + "*")) {
            return files.iterator().next();
        }
    }

    private static void assertRefused(String reason, Path... folders) {
        assertThatThrownBy(() -> SnapshotFolder.open(List.of(folders)))
                .isInstanceOf(BadSnapshotException.class)
                .hasMessageStartingWith("snapshot in " + folders[folders.length - 1] + ": section '")
                .hasMessageContaining(reason);
    }

    private void assertIsSecond(SnapshotFolder.Opened opened) {
        assertThat(opened.machine().devices().get("disk0").number("number")).isEqualTo(2);
        assertThat(opened.contents().layer().id()).isEqualTo(layers.get(2).id());
        assertThat(opened.contents().layer().problems()).isEmpty();
        assertThat(TestMemory.asRestored(opened.contents()).mismatch(now)).isEqualTo(-1);
    }

    @Test
    void aChainIsReadAsItWasSaved() throws Exception {
        try (var opened = SnapshotFolder.open(List.of(base(), first(), second()))) {
            assertIsSecond(opened);
            assertThat(opened.contents().layer().depth()).isEqualTo(2);
        }
        try (var opened = SnapshotFolder.open(List.of(base(), first()))) {
            assertThat(opened.machine().devices().get("disk0").number("number")).isEqualTo(1);
            assertThat(opened.contents().layer().ownBytes()).isEqualTo(Pages.SIZE);
        }
    }

    @Test
    void aLinkThatIsMissingOrInTheWrongPlaceIsNamed() {
        String base = layers.get(0).id();
        String first = layers.get(1).id();
        assertRefused("builds on snapshot " + base, first());
        assertRefused("builds on snapshot " + first, base(), second());
        assertRefused("and the folder before has " + base, base(), second());
        assertRefused("builds on snapshot " + base, base(), first(), first());
        assertRefused("is whole and builds on no other", base(), base());
    }

    /** Of the same id, and of other contents: a copy that somebody changed and gave checksums that fit. */
    @Test
    void aBaseThatHasChangedIsRefused() throws Exception {
        Layer genuine = layers.getFirst();
        var changed = new MemoryFile(
                "memory-x",
                new Identity(genuine.id(), genuine.identity().checksum() + 1),
                List.of(),
                TestMachines.MEMORY,
                Bytes.copyOf(genuine.pages().toByteArray()),
                genuine.checksums());
        Layer forged = Layer.opened(null, changed, genuine.source());
        SnapshotFolder.save(base(), TestMachines.pc(0), forged, Extent.WHOLE);
        assertRefused("which has changed since", base(), first());
    }

    @Test
    void damageIsFoundInTheFileThatHasIt() throws Exception {
        flip(memoryFile(first()), PAGE_OF_FIRST);
        // Not among its pages: no guest sees it.
        flip(memoryFile(second()), PAGE_OF_FIRST);
        try (var opened = SnapshotFolder.open(List.of(base(), first(), second()))) {
            assertThat(opened.contents().layer().problems())
                    .singleElement()
                    .asString()
                    .startsWith("bytes 0x0 to 0x1fffff of memory-")
                    .contains(first().toString());
            assertThat(TestMemory.asRestored(opened.contents()).get(ValueLayout.JAVA_BYTE, PAGE_OF_FIRST))
                    .isEqualTo((byte) 0);
        }
    }

    private static void flip(Path file, long offset) throws IOException {
        try (var channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            ByteBuffer one = ByteBuffer.allocate(1);
            assertThat(channel.read(one, offset)).isEqualTo(1);
            channel.write(one.put(0, (byte) (one.get(0) ^ 1)).flip(), offset);
        }
    }

    @Test
    void aChainIsMergedAndStaysTheBaseOfWhatWasAboveIt() throws Exception {
        Path merged = folder.resolve("merged");
        try (var opened = SnapshotFolder.open(List.of(base(), first()))) {
            SnapshotFolder.save(merged, opened.machine(), opened.contents().layer(), Extent.WHOLE);
        }
        try (var alone = SnapshotFolder.open(List.of(merged))) {
            assertThat(alone.contents().layer().depth()).isZero();
            assertThat(alone.contents().layer().problems()).isEmpty();
        }
        try (var opened = SnapshotFolder.open(List.of(merged, second()))) {
            assertIsSecond(opened);
            assertThat(opened.contents().layer().depth()).isOne();
        }
    }

    @Test
    void damageIsNotMerged() throws Exception {
        flip(memoryFile(first()), PAGE_OF_FIRST);
        try (var opened = SnapshotFolder.open(List.of(base(), first()))) {
            assertThatThrownBy(() -> SnapshotFolder.save(
                            folder.resolve("merged"),
                            opened.machine(),
                            opened.contents().layer(),
                            Extent.WHOLE))
                    .isInstanceOf(BadSnapshotException.class)
                    .hasMessageContaining("are damaged");
        }
    }

    @Test
    void anIncrementDoesNotReplaceWhatItBuildsOn() throws Exception {
        assertThatThrownBy(() -> SnapshotFolder.save(base(), TestMachines.pc(2), layers.getLast(), Extent.INCREMENT))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("has snapshot " + layers.getFirst().id())
                .hasMessageContaining("choose another folder");
        // Itself it may.
        SnapshotFolder.save(second(), TestMachines.pc(2), layers.getLast(), Extent.INCREMENT);
        try (var opened = SnapshotFolder.open(List.of(base(), first(), second()))) {
            assertIsSecond(opened);
        }
    }

    @Test
    void whatIsOpenedStaysWhenItsFoldersGetNewerSnapshots() throws Exception {
        try (var used = SnapshotFolder.open(List.of(base(), first(), second()));
                var unused = SnapshotFolder.open(List.of(base(), first(), second()))) {
            assertIsSecond(used);
            Layer other = TestMemory.layer(TestMachines.memory(9));
            for (Path each : List.of(base(), first(), second())) {
                SnapshotFolder.save(each, TestMachines.pc(9), other, Extent.WHOLE);
            }
            assertIsSecond(used);
            assertIsSecond(unused);
        }
    }

    @Test
    void pagesPastTheEndOfTheMemoryAreRefused() throws Exception {
        MemoryFile good = memorySection(first());
        byte[] pages = new byte[(int) (TestMachines.MEMORY / Pages.SIZE / 8) + 1];
        pages[pages.length - 1] = 1;
        rewrite(
                first(),
                new MemoryFile(
                        good.file(), good.identity(), good.base(), good.size(), Bytes.copyOf(pages), good.checksums()));
        assertRefused("has page 1536 of a memory of 1536 pages", base(), first());
        rewrite(
                first(),
                new MemoryFile(
                        good.file(),
                        good.identity(),
                        List.of(good.base().getFirst(), good.base().getFirst()),
                        good.size(),
                        good.pages(),
                        good.checksums()));
        assertRefused("builds on 2 snapshots", base(), first());
    }

    private static MemoryFile memorySection(Path folder) throws Exception {
        Bytes bytes = SectionFile.decode(Files.readAllBytes(folder.resolve(SnapshotFolder.INDEX)))
                .get(SnapshotFolder.MEMORY);
        return MemoryFile.decode(bytes.toArray());
    }

    private static void rewrite(Path folder, MemoryFile memory) throws Exception {
        Path index = folder.resolve(SnapshotFolder.INDEX);
        SequencedMap<String, Bytes> sections = SectionFile.decode(Files.readAllBytes(index));
        sections.put(SnapshotFolder.MEMORY, memory.encode());
        Files.write(index, SectionFile.encode(sections));
    }
}
