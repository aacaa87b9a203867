package io.github.jkvm.sandbox.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.sandbox.CallCancelledException;
import io.github.jkvm.sandbox.Limit;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.SandboxState;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PipedInputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The real agent runs commands of this host. */
class AgentCommandTest {
    private static final Limits LIMITS = Limits.DEFAULT.withDeadline(Duration.ofMinutes(4));

    /** Those of this process, which may be no one that could become someone else. */
    private static final CommandUser OWN = new CommandUser.Numbers(own("unix:uid"), own("unix:gid"));

    @TempDir
    private Path folder;

    private AgentProgram agent;
    private Calls calls;

    @BeforeEach
    void start() throws Exception {
        agent = new AgentProgram(folder);
        calls = new Calls(ChannelGuest.always(agent::connect), Duration.ofMinutes(1));
    }

    @AfterEach
    void stop() {
        calls.close();
        agent.close();
    }

    private static int own(String attribute) {
        try {
            return (int) Files.getAttribute(Path.of("/proc/self"), attribute);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static CommandOrder shell(String script) {
        return new CommandOrder(
                List.of("sh", "-c", script), Map.of("PATH", "/usr/bin:/bin", "GREETING", "good day"), "/", OWN);
    }

    private record Result(CommandProcess.Ending ending, String output, String errors) {}

    private Result run(String script, byte[] input, Limits limits) throws IOException {
        var output = new ByteArrayOutputStream();
        var errors = new ByteArrayOutputStream();
        try (CommandProcess process = CommandProcess.start(
                calls, limits, shell(script), new HandedOutput(output), new HandedOutput(errors))) {
            process.feedFrom(new ByteArrayInputStream(input));
            CommandProcess.Ending ending = process.pump();
            return new Result(
                    ending, output.toString(StandardCharsets.ISO_8859_1), errors.toString(StandardCharsets.ISO_8859_1));
        }
    }

    private Result run(String script) throws IOException {
        return run(script, new byte[0], LIMITS);
    }

    private record Started(CommandProcess process, PipedOutput output, PipedOutput errors) implements AutoCloseable {
        String line() throws IOException {
            var line = new StringBuilder();
            for (int letter; (letter = output.read()) != '\n'; ) {
                assertThat(letter).isNotNegative();
                line.append((char) letter);
            }
            return line.toString();
        }

        @Override
        public void close() {
            process.close();
        }
    }

    private Started begin(String script) {
        var output = new PipedOutput();
        var errors = new PipedOutput();
        CommandProcess process = CommandProcess.start(calls, LIMITS, shell(script), output, errors);
        process.pumpInBackground();
        return new Started(process, output, errors);
    }

    @Test
    void givesOutputErrorsAndStatus() throws IOException {
        Result result = run("echo $GREETING; echo bad >&2; pwd; exit 3");
        assertThat(result.output()).isEqualTo("good day\n/\n");
        assertThat(result.errors()).isEqualTo("bad\n");
        assertThat(result.ending().bySignal()).isFalse();
        assertThat(result.ending().number()).isEqualTo(3);
    }

    @Test
    void hasNothingOfTheAgentsButItsStreams() throws IOException {
        Result result = run("ls /proc/self/fd; umask; env | sort | head -2; ps -o sid= -p $$; echo $$");
        List<String> lines = result.output().strip().lines().map(String::strip).toList();
        // The fourth is the folder that ls reads.
        assertThat(lines.subList(0, 7))
                .containsExactly("0", "1", "2", "3", "0022", "GREETING=good day", "PATH=/usr/bin:/bin");
        assertThat(lines.get(7)).as("a session of its own").isEqualTo(lines.get(8));
    }

    @Test
    void passesMoreThanAllBuffersTakeBothWays() throws IOException {
        byte[] bytes = new byte[3_000_000];
        new Random(1).nextBytes(bytes);
        Result result = run("tee /dev/stderr", bytes, LIMITS);
        String expected = new String(bytes, StandardCharsets.ISO_8859_1);
        assertThat(result.output().equals(expected)).isTrue();
        assertThat(result.errors().equals(expected)).isTrue();
    }

    @Test
    void tellsWhatCannotBeRun() throws IOException {
        var order = new CommandOrder(List.of("/no/such"), Map.of(), "/", OWN);
        assertThatExceptionOfType(SandboxException.class)
                .isThrownBy(() -> CommandProcess.start(calls, LIMITS, order, new PipedOutput(), new PipedOutput()))
                .withMessage("can't run /no/such: No such file or directory");
        var lost = new CommandOrder(List.of("true"), Map.of("PATH", "/bin"), "/no/such", OWN);
        assertThatExceptionOfType(SandboxException.class)
                .isThrownBy(() -> CommandProcess.start(calls, LIMITS, lost, new PipedOutput(), new PipedOutput()))
                .withMessage("can't change to the directory for true: No such file or directory");
        assertThat(run("echo still there").output()).isEqualTo("still there\n");
    }

    private String outputAs(String user, String script, Map<String, String> environment) throws IOException {
        var output = new ByteArrayOutputStream();
        var order = new CommandOrder(List.of("/bin/sh", "-c", script), environment, "/", new CommandUser.Named(user));
        try (CommandProcess process =
                CommandProcess.start(calls, LIMITS, order, new HandedOutput(output), new HandedOutput(output))) {
            process.input().close();
            assertThat(process.pump().number()).isZero();
            return output.toString(StandardCharsets.UTF_8);
        }
    }

    /** This process's user, who may be no one that could become someone else. */
    @Test
    void runsAsAUserThatIsKnownByName() throws IOException {
        int uid = own("unix:uid");
        String name = System.getProperty("user.name");
        String script = "/usr/bin/id -u; echo $HOME";
        String expected = uid + "\n" + System.getProperty("user.home") + "\n";
        assertThat(outputAs(name, script, Map.of())).isEqualTo(expected);
        assertThat(outputAs(String.valueOf(uid), script, Map.of())).isEqualTo(expected);
        assertThat(outputAs(name, script, Map.of("HOME", "/elsewhere"))).isEqualTo(uid + "\n/elsewhere\n");
        int gid = own("unix:gid");
        assertThat(outputAs(uid + ":" + gid, "/usr/bin/id -g", Map.of())).isEqualTo(gid + "\n");
    }

    @Test
    void tellsOfUsersAndGroupsThatThereAreNot() {
        for (String user : List.of("no-such-user", "0:no-such-group", "4294967295", ":0", "-1", "1x")) {
            assertThatExceptionOfType(SandboxException.class)
                    .isThrownBy(() -> outputAs(user, "true", Map.of()))
                    .withMessage("the root has no user or group '" + user + "'");
        }
        assertThat(calls.state()).isEqualTo(SandboxState.READY);
    }

    @Test
    void refusesWhatLinuxTakesNot() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new CommandOrder(List.of("a\0b"), Map.of(), "/", CommandUser.ROOT));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new CommandOrder(List.of("a"), Map.of("=", "b"), "/", CommandUser.ROOT));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new CommandOrder(List.of(), Map.of(), "/", CommandUser.ROOT));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new CommandOrder(List.of("a"), Map.of(), "relative", CommandUser.ROOT));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new CommandOrder(List.of("x".repeat(200_000)), Map.of(), "/", CommandUser.ROOT));
    }

    @Test
    void passesSignalsOn() throws Exception {
        try (Started command = begin("trap 'echo caught' TERM; echo ready; while :; do sleep 0.01; done")) {
            assertThat(command.line()).isEqualTo("ready");
            command.process().signal(15);
            assertThat(command.line()).isEqualTo("caught");
            assertThat(command.process().isAlive()).isTrue();
            command.process().signal(9);
            CommandProcess.Ending ending = command.process().await();
            assertThat(ending.bySignal()).isTrue();
            assertThat(ending.number()).isEqualTo(9);
        }
    }

    @Test
    void holdsACommandBackWhoseOutputNoOneReadsAndNotItsErrors() throws Exception {
        try (Started command = begin("head -c 2000000 /dev/zero & head -c 1000000 /dev/zero >&2; echo >&2; wait")) {
            assertThat(command.errors().readNBytes(1_000_001)).hasSize(1_000_001);
            assertThat(command.process().isAlive()).isTrue();
            assertThat(command.output().readAllBytes()).hasSize(2_000_000);
            assertThat(command.process().await().number()).isZero();
        }
    }

    @Test
    void endsThoughItsOutputIsUnreadAndAProcessHoldsItsStreams() throws Exception {
        try (Started command = begin("sleep 1000 & echo $!; echo more")) {
            assertThat(command.process().await().number()).isZero();
            long left = Long.parseLong(command.line());
            assertThat(ProcessHandle.of(left)).isPresent();
            assertThat(command.output().readAllBytes())
                    .asString(StandardCharsets.UTF_8)
                    .isEqualTo("more\n");
            ProcessHandle.of(left).ifPresent(ProcessHandle::destroyForcibly);
        }
    }

    @Test
    void tellsWhoWritesThatNoOneReads() throws Exception {
        try (Started command = begin("exec <&-; echo closed; sleep 1000")) {
            assertThat(command.line()).isEqualTo("closed");
            OutputStream input = command.process().input();
            assertThatIOException().isThrownBy(() -> {
                while (true) {
                    input.write(new byte[10_000]);
                }
            });
        }
    }

    @Test
    void killsTheCommandAndItsGroupWhenItIsClosed() throws Exception {
        ProcessHandle shell;
        ProcessHandle child;
        try (Started command = begin("sleep 1000 & echo $$; echo $!; wait")) {
            shell = ProcessHandle.of(Long.parseLong(command.line())).orElseThrow();
            child = ProcessHandle.of(Long.parseLong(command.line())).orElseThrow();
        }
        shell.onExit().get(2, TimeUnit.MINUTES);
        child.onExit().get(2, TimeUnit.MINUTES);
        assertThat(calls.state()).isEqualTo(SandboxState.READY);
    }

    @Test
    void countsTheOutputOfBothStreams() throws IOException {
        Limits few = LIMITS.withOutput(1000);
        assertThat(run("head -c 999 /dev/zero; printf x >&2", new byte[0], few).output())
                .hasSize(999);
        assertThatExceptionOfType(LimitExceededException.class)
                .isThrownBy(() -> run("head -c 999 /dev/zero; echo xx >&2; sleep 1000", new byte[0], few))
                .satisfies(e -> assertThat(e.limit()).isEqualTo(Limit.OUTPUT));
        assertThat(calls.state()).isEqualTo(SandboxState.POISONED);
        assertThatIllegalStateException()
                .isThrownBy(() -> run("true"))
                .withMessage("this sandbox is poisoned (the call put out more than 1000 bytes, its limit);"
                        + " restore() brings it back");
        calls.restore();
        assertThat(run("echo again").output()).isEqualTo("again\n");
    }

    @Test
    void endsAllCallsAtADeadlineAndSaysWhoseItWas() throws Exception {
        try (Started other = begin("echo ready; sleep 1000")) {
            assertThat(other.line()).isEqualTo("ready");
            assertThatExceptionOfType(LimitExceededException.class)
                    .isThrownBy(() -> run(
                            "trap '' TERM; while :; do :; done",
                            new byte[0],
                            LIMITS.withDeadline(Duration.ofMillis(20))));
            assertThatExceptionOfType(CallCancelledException.class)
                    .isThrownBy(() -> other.process().await())
                    .withMessageContaining("another call");
        }
    }

    @Test
    void endsACallThatAnotherThreadCancels() throws Exception {
        try (Started command = begin("echo ready; sleep 1000")) {
            assertThat(command.line()).isEqualTo("ready");
            calls.cancel("by the test");
            assertThatExceptionOfType(CallCancelledException.class)
                    .isThrownBy(() -> command.process().await())
                    .withMessage("the call was cancelled: by the test");
            assertThat(command.output().read()).isEqualTo(-1);
        }
    }

    @Test
    void endsACallWhoseThreadIsInterrupted() throws Exception {
        var thrown = new CompletableFuture<Throwable>();
        var begun = new CompletableFuture<Void>();
        var told = new OutputStream() {
            @Override
            public void write(int value) {
                begun.complete(null);
            }
        };
        Thread runner = Thread.ofPlatform().start(() -> {
            try (CommandProcess process = CommandProcess.start(
                    calls, LIMITS, shell("echo; sleep 1000"), new HandedOutput(told), new HandedOutput(told))) {
                process.pump();
                thrown.complete(null);
            } catch (IOException | RuntimeException e) {
                thrown.complete(e);
            }
        });
        begun.get(2, TimeUnit.MINUTES);
        runner.interrupt();
        assertThat(thrown.get(2, TimeUnit.MINUTES))
                .isInstanceOf(CallCancelledException.class)
                .hasMessage("the call was cancelled: its thread was interrupted");
    }

    @Test
    void killsACommandWhoseOutputGoesNowhereAndStaysReady() throws IOException {
        var full = new OutputStream() {
            @Override
            public void write(int value) throws IOException {
                throw new IOException("full");
            }
        };
        try (CommandProcess process = CommandProcess.start(
                calls, LIMITS, shell("echo; sleep 1000"), new HandedOutput(full), new HandedOutput(full))) {
            assertThatIOException().isThrownBy(process::pump).withMessage("full");
        }
        assertThat(run("echo fine").output()).isEqualTo("fine\n");
    }

    @Test
    void takesNoCallsWhenItIsClosed() {
        calls.close();
        assertThat(calls.state()).isEqualTo(SandboxState.CLOSED);
        assertThatIllegalStateException().isThrownBy(() -> run("true")).withMessageContaining("closed");
        assertThatIllegalStateException().isThrownBy(calls::restore);
        assertThatIllegalStateException().isThrownBy(calls::copy);
        calls.close();
    }

    @Test
    void feedsFromAStreamThatFails() throws IOException {
        // Reading it throws: it is connected to nothing.
        var broken = new PipedInputStream();
        var output = new ByteArrayOutputStream();
        try (CommandProcess process =
                CommandProcess.start(calls, LIMITS, shell("cat"), new HandedOutput(output), new HandedOutput(output))) {
            process.feedFrom(broken);
            assertThat(process.pump().number()).isZero();
        }
    }
}
