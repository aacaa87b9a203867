package io.github.jkvm.samples.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.github.jkvm.Bytes;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GuestFilesTest {
    private static final GuestFiles.Settings SETTINGS =
            new GuestFiles.Settings("rows 24 cols 80", "linux", "<ready>", Options.Messages.HIDDEN);
    private static final int PORT = 0x501;

    @TempDir
    Path folder;

    @Test
    void holdsAllThatLinuxNeedsToRunACommand() throws IOException {
        byte[] busybox = ExitProgram.elf(PORT); // any ELF file that needs no libraries
        byte[] archive = GuestFiles.of(
                Files.write(folder.resolve("busybox"), busybox), List.of("echo", "it's", "a b"), SETTINGS, PORT);
        Map<String, Entry> entries = read(archive);
        assertThat(entries.keySet())
                .containsExactly(
                        "bin",
                        "bin/busybox",
                        "dev",
                        "dev/console",
                        "guest",
                        "guest/command",
                        "guest/exit-vm",
                        "guest/settings",
                        "init",
                        "lib",
                        "lib64",
                        "proc",
                        "root",
                        "sys",
                        "tmp",
                        "complete",
                        "TRAILER!!!");
        assertThat(entries.values().stream().map(Entry::inode))
                .as("Linux links entries of one inode")
                .doesNotHaveDuplicates();
        assertThat(entries.get("dev").mode()).isEqualTo(0040755);
        Entry console = entries.get("dev/console");
        assertThat(console.mode()).isEqualTo(0020600);
        assertThat(console.device()).isEqualTo("5:1");
        assertThat(entries.get("init").mode()).isEqualTo(0100755);
        assertThat(entries.get("init").contents().toArray())
                .asString(StandardCharsets.UTF_8)
                .startsWith("#!/bin/busybox sh\n");
        assertThat(entries.get("bin/busybox").contents().toArray()).isEqualTo(busybox);
        assertThat(entries.get("guest/exit-vm").contents().toArray()).isEqualTo(ExitProgram.elf(PORT));
        assertThat(entries.get("guest/command").contents().toArray())
                .asString(StandardCharsets.UTF_8)
                .isEqualTo("'echo' 'it'\\''s' 'a b'\n");
        assertThat(entries.get("guest/settings").contents().toArray())
                .asString(StandardCharsets.UTF_8)
                .contains("TERMINAL='rows 24 cols 80'\n", "READY='<ready>'\n", "MESSAGES=\n");
    }

    private record Entry(int inode, int mode, String device, Bytes contents) {}

    /** Reads an archive as Linux does: Documentation/driver-api/early-userspace/buffer-format.rst. */
    private static Map<String, Entry> read(byte[] archive) {
        Map<String, Entry> entries = new LinkedHashMap<>();
        int at = 0;
        while (at < archive.length) {
            String header = new String(archive, at, 110, StandardCharsets.US_ASCII);
            assertThat(header).startsWith("070701");
            int[] fields = new int[13];
            for (int i = 0; i < fields.length; i++) {
                fields[i] = Integer.parseUnsignedInt(header, 6 + 8 * i, 14 + 8 * i, 16);
            }
            int size = fields[6];
            int nameSize = fields[11];
            String name = new String(archive, at + 110, nameSize - 1, StandardCharsets.US_ASCII);
            assertThat(archive[at + 110 + nameSize - 1]).isZero();
            int data = (at + 110 + nameSize + 3) & ~3;
            byte[] contents = Arrays.copyOfRange(archive, data, data + size);
            entries.put(name, new Entry(fields[0], fields[1], fields[9] + ":" + fields[10], Bytes.copyOf(contents)));
            at = (data + size + 3) & ~3;
        }
        return entries;
    }

    @Test
    void tellsHowToGetBusybox() {
        Path missing = folder.resolve("busybox");
        assertThatThrownBy(() -> GuestFiles.of(missing, List.of(), SETTINGS, PORT))
                .hasMessage("there is no " + missing + "; install it with: sudo apt-get install busybox-static");
    }

    @Test
    void refusesABusyboxThatNeedsLibraries() {
        Path shell = Path.of("/bin/sh");
        assumeThat(shell).as("a program that needs libraries").isRegularFile();
        assertThatThrownBy(() -> GuestFiles.of(shell, List.of(), SETTINGS, PORT))
                .hasMessage("/bin/sh needs shared libraries, which the guest does not have;"
                        + " replace it with: sudo apt-get install busybox-static");
    }

    @Test
    void exitProgramWritesToTheGivenPort() {
        assertThat(new String(ExitProgram.elf(0xABCD), StandardCharsets.ISO_8859_1))
                .contains("\u00ba\u00cd\u00ab\0\0")
                .doesNotContain("4\22\0\0");
        assertThatThrownBy(() -> ExitProgram.elf(0x1_0000)).hasMessageContaining("0x10000");
    }
}
