package io.github.jkvm.machine.snapshot;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A process that is killed while it saves leaves one snapshot or the other. */
class SaveKilledTest {
    private static final int KILLS = 12;

    @TempDir
    private Path folder;

    /** Saves one snapshot after another to a folder, and says a byte before and after each. */
    static final class Saver {
        private Saver() {}

        public static void main(String[] args) throws IOException {
            for (int number = Integer.parseInt(args[1]); ; number++) {
                System.out.write('b');
                System.out.flush();
                SnapshotFolder.save(Path.of(args[0]), TestMachines.pc(number), TestMachines.memory(number));
                System.out.write('a');
                System.out.flush();
            }
        }
    }

    @Test
    @Timeout(120)
    void aKilledSaveLeavesAWholeSnapshot() throws Exception {
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
                            Long.toString(last + 1)))
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
            try (SnapshotFolder.Opened opened = SnapshotFolder.open(folder)) {
                long number = opened.machine().devices().get("disk0").number("number");
                assertThat(number).as("kill %d", kill).isGreaterThan(last);
                assertThat(opened.verification().problems()).isEmpty();
                assertThat(opened.contents().bytes().mismatch(TestMachines.memory(number)))
                        .isEqualTo(-1);
                last = number;
            }
        }
        SnapshotFolder.save(folder, TestMachines.pc(last + 1), TestMachines.memory(last + 1));
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
