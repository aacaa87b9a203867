package io.github.jkvm.sandbox.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.SandboxState;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The real agent copies files of this host, which stands for the guest. */
class FileCopyTest {
    private static final Limits LIMITS = Limits.DEFAULT.withDeadline(Duration.ofMinutes(4));

    @TempDir
    private Path folder;

    private AgentProgram agent;
    private Calls calls;
    private Path guest;

    @BeforeEach
    void start() throws Exception {
        agent = new AgentProgram(folder);
        calls = new Calls(ChannelGuest.always(agent::connect), Duration.ofMinutes(1));
        guest = Files.createDirectory(folder.resolve("guest"));
    }

    @AfterEach
    void stop() {
        calls.close();
        agent.close();
    }

    private Path tree() throws IOException {
        Path tree = Files.createDirectories(folder.resolve("tree"));
        byte[] large = new byte[300_000];
        new Random(2).nextBytes(large);
        Files.createDirectories(tree.resolve("a/ä/empty"));
        Files.write(tree.resolve("a/large"), large);
        Path tool = Files.writeString(tree.resolve("a/tool"), "#!/bin/sh\n");
        Files.setPosixFilePermissions(tool, PosixFilePermissions.fromString("rwxr-x---"));
        Files.setLastModifiedTime(tool, FileTime.from(Instant.ofEpochSecond(1_000_000)));
        Files.createFile(tree.resolve("nothing"));
        Files.createSymbolicLink(tree.resolve("a/ä/link"), Path.of("../tool"));
        Files.setPosixFilePermissions(tree.resolve("a/ä"), PosixFilePermissions.fromString("r-xr-xr-x"));
        return tree;
    }

    private static void assertIsTree(Path copy) throws IOException {
        byte[] large = new byte[300_000];
        new Random(2).nextBytes(large);
        assertThat(copy.resolve("a/large")).hasBinaryContent(large);
        assertThat(copy.resolve("a/ä/empty")).isEmptyDirectory();
        assertThat(copy.resolve("nothing")).isEmptyFile();
        assertThat(Files.readSymbolicLink(copy.resolve("a/ä/link"))).isEqualTo(Path.of("../tool"));
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(copy.resolve("a/tool"))))
                .isEqualTo("rwxr-x---");
        assertThat(Files.getLastModifiedTime(copy.resolve("a/tool")).toInstant())
                .isEqualTo(Instant.ofEpochSecond(1_000_000));
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(copy.resolve("a/ä"))))
                .isEqualTo("r-xr-xr-x");
    }

    @Test
    void copiesFoldersInAndOut() throws IOException {
        FileSender.copy(calls, LIMITS, tree(), guest + "/new/copy");
        assertIsTree(guest.resolve("new/copy"));
        FileReceiver.copy(calls, LIMITS, guest + "/new/copy", folder.resolve("back"));
        assertIsTree(folder.resolve("back"));
    }

    @Test
    void copiesFilesInAndOut() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "text");
        FileSender.copy(calls, LIMITS, file, guest + "/file");
        assertThat(guest.resolve("file")).hasContent("text");
        Files.createSymbolicLink(guest.resolve("link"), Path.of("file"));
        FileReceiver.copy(calls, LIMITS, guest + "/link", folder.resolve("back"));
        assertThat(folder.resolve("back")).isRegularFile().hasContent("text");
    }

    @Test
    void writesAndReadsFiles() {
        byte[] bytes = "hello".repeat(100_000).getBytes(StandardCharsets.UTF_8);
        FileSender.write(calls, LIMITS, bytes, guest + "/deep/er/file");
        assertThat(FileReceiver.read(calls, LIMITS, guest + "/deep/er/file", bytes.length))
                .isEqualTo(bytes);
        FileSender.write(calls, LIMITS, new byte[0], guest + "/deep/er/file");
        assertThat(FileReceiver.read(calls, LIMITS, guest + "/deep/er/file", 0)).isEmpty();
        assertThat(FileReceiver.read(calls, LIMITS, "/proc/self/status", 1 << 20))
                .as("files whose size is not known before")
                .isNotEmpty();
    }

    @Test
    void refusesToReadWhatIsTooLargeOrNoFile() {
        FileSender.write(calls, LIMITS, new byte[101], guest + "/file");
        assertThatExceptionOfType(SandboxException.class)
                .isThrownBy(() -> FileReceiver.read(calls, LIMITS, guest + "/file", 100))
                .withMessage(guest + "/file of the guest has more than 100 bytes");
        assertThatExceptionOfType(SandboxException.class)
                .isThrownBy(() -> FileReceiver.read(calls, LIMITS, guest.toString(), 100))
                .withMessage(guest + " is no file of the guest");
        assertThatExceptionOfType(SandboxException.class)
                .isThrownBy(() -> FileReceiver.read(calls, LIMITS, guest + "/none", 100))
                .withMessage("can't read " + guest + "/none: No such file or directory");
        assertThatIllegalArgumentException().isThrownBy(() -> FileReceiver.read(calls, LIMITS, "relative", 100));
        assertThat(calls.state()).isEqualTo(SandboxState.READY);
    }

    @Test
    void tellsWhatTheGuestCannotWrite() throws IOException {
        Files.createDirectory(guest.resolve("folder"));
        assertThatExceptionOfType(SandboxException.class)
                .isThrownBy(() -> FileSender.write(calls, LIMITS, new byte[1 << 20], guest + "/folder"))
                .withMessage("can't write " + guest + "/folder: Is a directory");
        assertThat(calls.state()).isEqualTo(SandboxState.READY);
    }

    @Test
    void leavesNothingOfACopyThatFails() throws IOException {
        Files.createDirectories(guest.resolve("a/b"));
        Files.writeString(guest.resolve("a/b/c"), "text");
        Files.createSymbolicLink(guest.resolve("a/b/bad"), Path.of("/etc/passwd"));
        Path target = folder.resolve("target");
        assertThatExceptionOfType(SandboxException.class)
                .isThrownBy(() -> FileReceiver.copy(calls, LIMITS, guest + "/a", target))
                .withMessage("the guest's link 'b/bad' leads to '/etc/passwd', out of what is copied; leave it out, or"
                        + " copy what it leads to");
        assertThat(target).doesNotExist();
        Files.delete(guest.resolve("a/b/bad"));
        assertThatExceptionOfType(LimitExceededException.class)
                .isThrownBy(() -> FileReceiver.copy(calls, LIMITS.withOutput(1200), guest + "/a", target));
        assertThat(target).doesNotExist();
    }

    @Test
    void writesOverNothingOfTheHost() throws IOException {
        Files.createSymbolicLink(folder.resolve("target"), folder.resolve("elsewhere"));
        assertThatExceptionOfType(FileAlreadyExistsException.class)
                .isThrownBy(() -> FileReceiver.copy(calls, LIMITS, guest.toString(), folder.resolve("target")));
        assertThatExceptionOfType(NoSuchFileException.class)
                .isThrownBy(() -> FileSender.copy(calls, LIMITS, folder.resolve("none"), "/x"));
        assertThat(calls.state()).isEqualTo(SandboxState.READY);
    }
}
