package io.github.jkvm.machine.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a guest's kernel unpacks at its boot. */
class InitramfsTest {
    @TempDir
    private Path folder;

    private Initramfs files() throws IOException {
        Path host = Files.writeString(folder.resolve("host"), "of the host");
        Files.setPosixFilePermissions(host, PosixFilePermissions.fromString("rwxr-x---"));
        var files = new Initramfs();
        files.program("/usr/bin/tool", new byte[] {1, 2, 3});
        files.data("/lib/modules/1/deep.ko", "module");
        files.data("/etc/ä", "ä\n");
        files.copy("/root/host", host);
        files.link("/sbin/it", "../usr/bin/tool");
        files.characterDevice("/dev/console", 5, 1);
        files.folder("/empty");
        files.folder("/etc");
        return files;
    }

    @Test
    void haveTheirModesAndContentsAndComeAfterTheirFolders() throws IOException {
        assertThat(CpioEntry.read(files().archive()))
                .extracting(CpioEntry::toString)
                .containsExactly(
                        "40755 dev ",
                        "20600 dev/console 5:1 ",
                        "40755 empty ",
                        "40755 etc ",
                        "100644 etc/ä \u00c3\u00a4",
                        "120777 lib usr/lib",
                        "120777 lib64 usr/lib64",
                        "40755 root ",
                        "100750 root/host of the host",
                        "40755 sbin ",
                        "120777 sbin/it ../usr/bin/tool",
                        "40755 usr ",
                        "40755 usr/bin ",
                        "100755 usr/bin/tool \1\2\3",
                        "40755 usr/lib ",
                        "40755 usr/lib/modules ",
                        "40755 usr/lib/modules/1 ",
                        "100644 usr/lib/modules/1/deep.ko module",
                        "100644 complete ");
    }

    @Test
    void areTheSameBytesEachTime() throws IOException {
        assertThat(files().archive())
                .isEqualTo(files().archive())
                .isEqualTo(files().copy().archive());
    }

    @Test
    void areReadByTheHostsCpio() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/cpio")), "no cpio on this machine: apt-get install cpio");
        Path archive = Files.write(folder.resolve("archive"), files().archive());
        Path target = Files.createDirectory(folder.resolve("target"));
        Process cpio = new ProcessBuilder("cpio", "-idm", "--quiet", "-F", archive.toString(), "-f", "dev/*")
                .directory(target.toFile())
                .redirectErrorStream(true)
                .start();
        String complaints = new String(cpio.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(cpio.waitFor()).as(complaints).isZero();
        assertThat(complaints).isEmpty();
        assertThat(target.resolve("etc/ä")).hasContent("ä\n");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(target.resolve("root/host"))))
                .isEqualTo("rwxr-x---");
        assertThat(Files.readSymbolicLink(target.resolve("sbin/it"))).isEqualTo(Path.of("../usr/bin/tool"));
        assertThat(target.resolve("lib/modules/1/deep.ko")).hasContent("module");
        assertThat(target.resolve("empty")).isEmptyDirectory();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "/", "/..", "/a/../b", "/a//b", "/./a", "/a/.", "/a/"})
    void refusesPathsThatAreNotPlain(String path) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Initramfs().data(path, ""))
                .withMessageStartingWith("'" + path + "' names no file in the guest");
    }
}
