package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.CallCancelledException;
import io.github.jkvm.sandbox.Command;
import io.github.jkvm.sandbox.CommandResult;
import io.github.jkvm.sandbox.GuestCrashedException;
import io.github.jkvm.sandbox.Limit;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.LinuxSandbox;
import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.sandbox.RunningCommand;
import io.github.jkvm.sandbox.SandboxException;
import io.github.jkvm.sandbox.SandboxState;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Commands in a guest whose root has busybox and nothing else. */
@RequiresLinuxGuest
@Timeout(600)
class LinuxSandboxTest {
    private static final Limits LIMITS = Limits.DEFAULT.withDeadline(Duration.ofMinutes(4));

    @TempDir
    private static Path folder;

    private static Hypervisor hypervisor;
    private static LinuxSandbox sandbox;

    @BeforeAll
    static void boot() throws IOException {
        Path root = BusyboxRoot.create(
                folder.resolve("root"),
                "sh",
                "cat",
                "id",
                "sleep",
                "kill",
                "head",
                "dd",
                "seq",
                "wc",
                "tr",
                "od",
                "grep",
                "date",
                "ls",
                "rm");
        hypervisor = Hypervisor.open();
        sandbox = LinuxSandbox.builder(hypervisor)
                .rootfs(RootFs.folder(root))
                .memory(128 << 20)
                .overlay(8 << 20)
                .limits(LIMITS)
                .bootDeadline(Duration.ofMinutes(4))
                .environment("SANDBOX", "of a test")
                .build();
    }

    @BeforeEach
    void heal() {
        if (sandbox.state() == SandboxState.POISONED) {
            sandbox.restore();
        }
    }

    @AfterAll
    static void close() {
        sandbox.close();
        hypervisor.close();
    }

    private static Command shell(String script) {
        return sandbox.command("sh", "-c", script);
    }

    private static String output(String script) {
        CommandResult result = shell(script).run();
        assertThat(result.errorText()).isEmpty();
        return result.outputText();
    }

    @Test
    void runsACommandWithAllThatBelongsToIt() {
        CommandResult result = shell("cat; echo \"$A $SANDBOX $HOME\" >&2; pwd; id; exit 3")
                .environment("A", "b c")
                .directory("/bin")
                .user(1000, 100)
                .input("hello\n".getBytes(StandardCharsets.UTF_8))
                .run();
        assertThat(result.outputText()).isEqualTo("hello\n/bin\nuid=1000 gid=100\n");
        assertThat(result.errorText()).isEqualTo("b c of a test /\n");
        assertThat(result.status()).isEqualTo(3);
        assertThat(result.signal()).isEmpty();
        assertThat(result.cpuTime()).isPositive();
        assertThat(result.wallTime()).isPositive();
        assertThatExceptionOfType(SandboxException.class)
                .isThrownBy(() -> sandbox.command("none").run())
                .withMessage("can't run none: No such file or directory");
        assertThat(sandbox.state()).isEqualTo(SandboxState.READY);
    }

    @Test
    void hasNoNetworkThatItWasNotGiven() {
        assertThat(output("ls /sys/class/net")).isEqualTo("lo\n");
    }

    @Test
    void beginsAnewWithRestoreWithTheTimeOfNowAndRandomNumbersOfItsOwn() throws Exception {
        String random = "od -An -N16 -tx1 /dev/urandom";
        shell("echo >/new; sleep 10000 >/dev/null 2>&1 &").run();
        assertThat(output("ls /new")).isEqualTo("/new\n");
        sandbox.restore();
        assertThat(shell("ls /new").run().status()).isNotZero();
        String first = output(random);
        assertThat(output("grep -l sleep /proc/[0-9]*/comm | wc -l")).isEqualTo("0\n");
        try (LinuxSandbox copy = sandbox.copy()) {
            CommandResult second = copy.command("sh", "-c", random).run();
            assertThat(second.outputText()).hasSameSizeAs(first).isNotEqualTo(first);
            long before = Instant.now().getEpochSecond();
            long now = Long.parseLong(
                    copy.command("date", "+%s").run().outputText().strip());
            assertThat(now).isCloseTo(before, within(200L));
        }
    }

    @Test
    void copiesFilesBothWays() throws Exception {
        Path in = Files.createDirectories(folder.resolve("in/deep"));
        byte[] bytes = new byte[500_000];
        Arrays.fill(bytes, (byte) 7);
        Files.write(in.resolve("file"), bytes);
        Files.createSymbolicLink(in.resolve("link"), Path.of("file"));
        sandbox.copyIn(folder.resolve("in"), "/data/in");
        assertThat(output("wc -c </data/in/deep/link")).isEqualTo("500000\n");
        sandbox.copyOut("/data/in", folder.resolve("out"));
        assertThat(folder.resolve("out/deep/link")).isSymbolicLink().hasBinaryContent(bytes);
        sandbox.write("text".getBytes(StandardCharsets.UTF_8), "/data/text");
        assertThat(sandbox.read("/data/text", 4))
                .asString(StandardCharsets.UTF_8)
                .isEqualTo("text");
        assertThatExceptionOfType(SandboxException.class)
                .isThrownBy(() -> sandbox.write(new byte[9 << 20], "/data/large"))
                .withMessage("can't write /data/large: No space left on device");
        shell("rm -r /data").run();
    }

    @Test
    void talksWithACommandThatRuns() throws Exception {
        String script = "trap 'echo caught; exit 5' TERM; read line; echo got $line; while :; do sleep 0.1; done";
        try (RunningCommand command = shell(script).start()) {
            command.input().write("one\n".getBytes(StandardCharsets.UTF_8));
            assertThat(command.output().readNBytes(8))
                    .asString(StandardCharsets.UTF_8)
                    .isEqualTo("got one\n");
            assertThat(command.isAlive()).isTrue();
            command.signal(15);
            assertThat(command.output().readAllBytes())
                    .asString(StandardCharsets.UTF_8)
                    .isEqualTo("caught\n");
            assertThat(command.await().status()).isEqualTo(5);
        }
    }

    @Test
    void stopsACommandThatNeverEndsAtItsDeadline() {
        Command command =
                shell("trap '' TERM INT HUP; while :; do :; done").limits(LIMITS.withDeadline(Duration.ofSeconds(3)));
        assertThatExceptionOfType(LimitExceededException.class)
                .isThrownBy(command::run)
                .satisfies(e -> assertThat(e.limit()).isEqualTo(Limit.DEADLINE));
        assertThat(sandbox.state()).isEqualTo(SandboxState.POISONED);
        sandbox.restore();
        assertThat(output("echo back")).isEqualTo("back\n");
    }

    @Test
    void stopsACommandThatWorksTooMuch() {
        Command command = shell("while :; do :; done").limits(LIMITS.withCpuTime(Duration.ofSeconds(2)));
        assertThatExceptionOfType(LimitExceededException.class)
                .isThrownBy(command::run)
                .satisfies(e -> assertThat(e.limit()).isEqualTo(Limit.CPU_TIME));
    }

    @Test
    void stopsACommandThatFloods() {
        Command command = shell("while :; do echo more and more; done").limits(LIMITS.withOutput(1 << 20));
        assertThatExceptionOfType(LimitExceededException.class)
                .isThrownBy(command::run)
                .satisfies(e -> assertThat(e.limit()).isEqualTo(Limit.OUTPUT));
    }

    /** Processes that multiply leave the agent alive, and the deadline ends them. */
    @Test
    void stopsProcessesThatMultiply() {
        Command command = shell("f() { f | f & f; }; f").limits(LIMITS.withDeadline(Duration.ofSeconds(8)));
        assertThatExceptionOfType(SandboxException.class)
                .isThrownBy(() -> {
                    CommandResult result = command.run();
                    // Those that it has left multiply on.
                    sandbox.command("sleep", "1000")
                            .limits(LIMITS.withDeadline(Duration.ofSeconds(8)))
                            .run();
                    assertThat(result.status()).isNotZero();
                })
                .isInstanceOf(LimitExceededException.class);
    }

    @Test
    void survivesACommandThatFillsTheMemory() {
        CommandResult result = shell(
                        "head -c 200000000 /dev/zero | tr '\\0' x | dd bs=200M of=/dev/null iflag=fullblock 2>&1; echo done")
                .run();
        assertThat(sandbox.state()).isEqualTo(SandboxState.READY);
        assertThat(result.status()).isZero();
        assertThat(output("echo alive")).isEqualTo("alive\n");
    }

    /** The kernel keeps process 1 from what it has no handler for. */
    @Test
    void survivesAnAttackOnItsAgent() {
        assertThat(shell("kill -9 1").run().status()).isZero();
        assertThat(output("echo alive")).isEqualTo("alive\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"kill -9 -1; sleep 1000", "echo c >/proc/sysrq-trigger; sleep 1000"})
    void tellsOfAGuestThatBreaksDown(String attack) {
        assertThatExceptionOfType(GuestCrashedException.class)
                .isThrownBy(() -> {
                    // The shell that kills all others is the only one left, without anyone who could tell of it.
                    shell(attack).run();
                })
                .withMessageContaining("the guest broke down");
        assertThat(sandbox.state()).isEqualTo(SandboxState.POISONED);
    }

    @Test
    void endsCallsThatAreCancelled() throws Exception {
        try (RunningCommand command = shell("echo ready; sleep 1000").start()) {
            assertThat(command.output().read()).isEqualTo('r');
            sandbox.cancel();
            assertThatExceptionOfType(CallCancelledException.class).isThrownBy(command::await);
        }
        assertThat(sandbox.state()).isEqualTo(SandboxState.POISONED);
    }
}
