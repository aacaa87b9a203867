package io.github.jkvm.testkit.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** Both ends of the control channel without a guest between them: busybox runs the agent here, on pipes. */
@ParameterizedClass
@EnumSource(ControlChannel.class)
class AgentTest {
    private static final Path BUSYBOX = Path.of("/bin/busybox");
    private static final Duration LIMIT = Duration.ofSeconds(30);

    @TempDir
    private Path folder;

    @Parameter
    private ControlChannel channel;

    private Process agent;
    private GuestShell shell;

    @BeforeEach
    void start() throws Exception {
        assumeTrue(Files.isExecutable(BUSYBOX), "no busybox on this machine: apt-get install busybox-static");
        try (InputStream script = Objects.requireNonNull(GuestShell.class.getResourceAsStream("agent"))) {
            Files.copy(script, folder.resolve("agent"));
        }
        Files.createDirectory(folder.resolve("run"));
        Files.createDirectory(folder.resolve("bin"));
        Files.createSymbolicLink(folder.resolve("bin/busybox"), BUSYBOX);
        Path parts = folder.resolve("parts");
        assertThat(new ProcessBuilder("mkfifo", parts.toString()).start().waitFor())
                .isZero();
        String lines = channel == ControlChannel.SERIAL
                ? "CHANNEL=serial; exec 3<&0 4<&0 5>&1 6>&1 2>/dev/null; "
                : "CHANNEL=ports; exec 3<&0 4<>'" + parts + "' 5>&1 6>&2 2>/dev/null; ";
        agent = new ProcessBuilder(
                        "/bin/busybox",
                        "sh",
                        "-c",
                        lines + "RUN='" + folder.resolve("run") + "'; PATH='" + folder.resolve("bin") + "':$PATH; . '"
                                + folder.resolve("agent") + "'")
                .start();
        var output = new MarkedStream();
        AgentLink link;
        if (channel == ControlChannel.SERIAL) {
            link = AgentLink.overLine(agent.getOutputStream(), output);
            shell = new GuestShell(link, output, () -> "console", LIMIT);
        } else {
            var errors = new MarkedStream();
            // Opened by the agent for both directions, so that opening does not wait.
            OutputStream input = Files.newOutputStream(parts);
            link = AgentLink.overPorts(agent.getOutputStream(), input, output, errors);
            shell = new GuestShell(link, output, () -> "console", LIMIT);
            pump(agent.getErrorStream(), errors);
        }
        pump(agent.getInputStream(), output);
        shell.awaitHello();
    }

    private static void pump(InputStream from, OutputStream to) {
        Thread.ofPlatform().daemon().start(() -> {
            try {
                from.transferTo(to);
            } catch (IOException ended) {
                Thread.currentThread().setName("ended by " + ended);
            }
        });
    }

    @AfterEach
    void stop() throws IOException {
        if (agent != null) {
            List<ProcessHandle> all = Stream.concat(agent.descendants(), Stream.of(agent.toHandle()))
                    .toList();
            all.forEach(ProcessHandle::destroyForcibly);
            for (ProcessHandle process : all) {
                while (runs(process)) {
                    Thread.onSpinWait();
                }
            }
            // One that began meanwhile may still write there, until the folder is gone.
            while (Files.exists(folder.resolve("run"))) {
                deleteRun();
            }
        }
    }

    /** Whether a process still runs: one that has ended counts as alive until its parent notices, which may take seconds. */
    private static boolean runs(ProcessHandle process) {
        try {
            // proc(5), /proc/pid/stat: the state is what comes after the name in parentheses, Z for a zombie.
            String line = Files.readString(Path.of("/proc", Long.toString(process.pid()), "stat"));
            return line.charAt(line.lastIndexOf(')') + 2) != 'Z';
        } catch (IOException gone) {
            return false;
        }
    }

    private void deleteRun() throws IOException {
        try (Stream<Path> files = Files.walk(folder.resolve("run"))) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (DirectoryNotEmptyException | UncheckedIOException e) {
            // Something is there now that was not when it was listed, or the other way round.
            System.getLogger(AgentTest.class.getName()).log(System.Logger.Level.DEBUG, "once more", e);
        }
    }

    private String run(String script) throws InterruptedException {
        return shell.run(GuestCommand.of(script));
    }

    @Test
    void givesOutputErrorsAndStatusApart() throws Exception {
        for (int i = 0; i < 20; i++) {
            CommandResult result =
                    shell.execute(GuestCommand.of("echo out; echo err >&2; printf 'no line\\000'; exit " + i));
            assertThat(result.output()).isEqualTo("out\nno line\0");
            assertThat(result.errors()).isEqualTo("err\n");
            assertThat(result.status()).isEqualTo(i);
        }
    }

    @Test
    void isNotTakenInByOutputThatLooksLikeAnEnd() throws Exception {
        assertThat(run("printf '\\000agent 0\\n\\00012345678-1234-1234-1234-123456789012 0\\n'; echo end"))
                .isEqualTo("\0agent 0\n\00012345678-1234-1234-1234-123456789012 0\nend");
    }

    @Test
    void feedsCommandsThatTakeAllSomeOrNothing() throws Exception {
        byte[] input = new byte[channel == ControlChannel.SERIAL ? 50_000 : 700_000];
        new SplittableRandom(3).nextBytes(input);
        var back = new ByteArrayOutputStream();
        shell.run(GuestCommand.of("cat").withInput(input).withOutputTo(back));
        assertThat(back.toByteArray()).isEqualTo(input);
        assertThat(shell.execute(GuestCommand.of("head -c 5").withInput(input)).outputBytes())
                .isEqualTo(Arrays.copyOf(input, 5));
        assertThat(shell.run(GuestCommand.of("echo on").withInput(input))).isEqualTo("on");
        assertThat(shell.run(GuestCommand.of("wc -c").withInput(""))).isEqualTo("0");
        assertThat(run("cat; echo empty")).isEqualTo("empty");
    }

    @Test
    void saysWhenASerialLineCantTakeACommand() throws Exception {
        byte[] input = new byte[60_000];
        if (channel == ControlChannel.SERIAL) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> run("#".repeat(60_000)))
                    .withMessageContaining("is more than the 60000 bytes that the serial line takes");
            assertThatExceptionOfType(AssertionError.class)
                    .isThrownBy(() -> shell.run(GuestCommand.of("cat").withInput(input)))
                    .withMessageContaining("is more than the 60000 bytes that the serial line takes");
        } else {
            assertThat(run("#".repeat(60_000))).isEmpty();
            assertThat(shell.run(GuestCommand.of("wc -c").withInput(input))).isEqualTo("60000");
        }
        assertThat(run("echo next")).isEqualTo("next");
    }

    @Test
    void setsVariablesAndFolder() throws Exception {
        Path odd = Files.createDirectory(folder.resolve("-it's $odd"));
        assertThat(shell.run(GuestCommand.of("echo \"$NAME\"; pwd")
                        .withEnvironment("NAME", "a 'b' \"c\" $d `e` \\ \nf")
                        .withDirectory(odd.toString())))
                .isEqualTo("a 'b' \"c\" $d `e` \\ \nf\n" + odd);
    }

    @Test
    void killsACommandWithItsChildren() throws Exception {
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> shell.execute(
                        GuestCommand.of("echo so far; sleep 1000 | sleep 1000").withDeadline(Duration.ofSeconds(2))))
                .withMessageStartingWith("the command has not ended within PT2S, and was killed")
                .withMessageContaining("-- command --\necho so far; sleep")
                .withMessageContaining("-- standard output --\nso far")
                .withMessageContaining("-- the guest's console --\nconsole");
        assertThat(run("echo next")).isEqualTo("next");
        RunningCommand running = shell.begin(GuestCommand.of("sleep 1000"));
        running.kill();
        assertThat(running.await(LIMIT).status()).isEqualTo(137);
        running.kill();
        assertThat(run("echo next")).isEqualTo("next");
    }

    @Test
    void saysWhenTheOutputWasTooMuchAndGoesOn() throws Exception {
        long bytes = GuestShell.MOST_KEPT + 1L;
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> run("head -c " + bytes + " /dev/zero"))
                .withMessageStartingWith("it has printed " + bytes + " bytes to its standard output, of which "
                        + GuestShell.MOST_KEPT + " are kept");
        assertThat(run("echo next")).isEqualTo("next");
    }

    @Test
    void saysWhenAStreamOfTheTestFails() throws Exception {
        OutputStream full = new OutputStream() {
            @Override
            public void write(int value) throws IOException {
                throw new IOException("full");
            }
        };
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> shell.run(GuestCommand.of("echo text").withOutputTo(full)))
                .withMessageStartingWith(
                        "the stream for its standard output has refused it: java.io.IOException: full");
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> shell.run(GuestCommand.of("cat").withInput(folder.resolve("none"))))
                .withMessageStartingWith("its input can't be read: java.nio.file.NoSuchFileException");
        assertThat(run("echo next")).isEqualTo("next");
    }

    @Test
    void copiesFilesBothWays() throws Exception {
        Path source = Files.createDirectories(folder.resolve("source/deep"));
        Files.writeString(source.resolve("file"), "text");
        Path theirs = folder.resolve("guest root/copy");
        shell.copyIn(source.getParent(), theirs.toString());
        assertThat(theirs.resolve("deep/file")).hasContent("text");
        shell.copyOut(theirs.toString(), folder.resolve("back"));
        assertThat(folder.resolve("back/deep/file")).hasContent("text");
    }

    @Test
    void endsWithTheGuest() throws Exception {
        RunningCommand running = shell.begin(GuestCommand.of("sleep 1000"));
        shell.end("the machine has ended: for a test");
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> running.await(LIMIT))
                .withMessageStartingWith("the machine has ended: for a test\n");
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> run("true"))
                .withMessageStartingWith("the machine has ended: for a test\n");
    }
}
