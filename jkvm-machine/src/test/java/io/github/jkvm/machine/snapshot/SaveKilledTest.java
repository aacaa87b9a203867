package io.github.jkvm.machine.snapshot;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.machine.snapshot.SnapshotFolder.Extent;
import io.github.jkvm.machine.state.Pages;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A process that is killed while it saves leaves one snapshot or the other. */
class SaveKilledTest {
    private static final int KILLS = 12;

    @TempDir
    private Path temporary;

    /** Saves a snapshot of a number: a whole one, or an increment upon the one in the folder "base". */
    private static void save(Path folder, long number, Extent extent) throws IOException {
        SavedMachine machine = TestMachines.pc(number);
        MemorySegment memory = TestMachines.memory(number);
        if (extent == Extent.WHOLE) {
            SnapshotFolder.save(folder, machine, TestMemory.layer(memory), extent);
            return;
        }
        try (SnapshotFolder.Opened base = SnapshotFolder.open(List.of(base(folder)))) {
            var pages = new BitSet();
            pages.set(0, (int) (TestMachines.MEMORY / Pages.SIZE));
            Layer increment =
                    Layer.taken(base.contents().layer(), TestMachines.MEMORY, pages, TestMemory.image(memory));
            SnapshotFolder.save(folder, machine, increment, extent);
            increment.release();
        }
    }

    private static Path base(Path folder) {
        return folder.resolveSibling("base");
    }

    /** Saves one snapshot after another to a folder, and says a byte before and after each. */
    static final class Saver {
        private Saver() {}

        public static void main(String[] args) throws IOException {
            for (int number = Integer.parseInt(args[1]); ; number++) {
                System.out.write('b');
                System.out.flush();
                save(Path.of(args[0]), number, Extent.valueOf(args[2]));
                System.out.write('a');
                System.out.flush();
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    @Timeout(120)
    void aKilledSaveLeavesAWholeSnapshot(Extent extent) throws Exception {
        Path folder = temporary.resolve("saved");
        SnapshotFolder.save(base(folder), TestMachines.pc(0), TestMemory.layer(TestMachines.memory(0)), Extent.WHOLE);
        List<Path> chain = extent == Extent.WHOLE ? List.of(folder) : List.of(base(folder), folder);
        var random = new Random(3);
        long last = 0;
        for (int kill = 0; kill < KILLS; kill++) {
            Process saver = new ProcessBuilder(List.of(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-cp",
                            classPath(),
                            Saver.class.getName(),
                            folder.toString(),
                            Long.toString(last + 1),
                            extent.name()))
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            try (InputStream says = saver.getInputStream()) {
                // An odd number: the next save has just begun.
                int steps = 3 + 2 * random.nextInt(4);
                assertThat(says.readNBytes(steps)).hasSize(steps);
                for (int i = random.nextInt(200_000); i > 0; i--) {
                    Thread.onSpinWait();
                }
                saver.destroyForcibly().waitFor();
            }
            try (SnapshotFolder.Opened opened = SnapshotFolder.open(chain)) {
                long number = opened.machine().devices().get("disk0").number("number");
                assertThat(number).as("kill %d", kill).isGreaterThan(last);
                assertThat(opened.contents().layer().problems()).isEmpty();
                assertThat(TestMemory.asRestored(opened.contents()).mismatch(TestMachines.memory(number)))
                        .isEqualTo(-1);
                last = number;
            }
        }
        save(folder, last + 1, extent);
        try (var files = Files.list(folder)) {
            assertThat(files.filter(file -> file.getFileName().toString().startsWith(MemoryFile.PREFIX)))
                    .as("what killed saves left is deleted by the next")
                    .hasSize(1);
        }
    }

    private static String classPath() {
        return Stream.of("jdk.module.path", "java.class.path", "surefire.test.class.path")
                        .map(System::getProperty)
                        .filter(path -> path != null && !path.isEmpty())
                        .collect(Collectors.joining(":"))
                + ":" + Path.of("target/classes").toAbsolutePath()
                + ":" + Path.of("target/test-classes").toAbsolutePath();
    }
}
