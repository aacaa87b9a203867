package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.CallCancelledException;
import io.github.jkvm.sandbox.CommandResult;
import io.github.jkvm.sandbox.GuestAddress;
import io.github.jkvm.sandbox.GuestCrashedException;
import io.github.jkvm.sandbox.GuestNetwork;
import io.github.jkvm.sandbox.Isolation;
import io.github.jkvm.sandbox.Limit;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.LinuxSandbox;
import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.sandbox.RunningCommand;
import io.github.jkvm.sandbox.SandboxProcessException;
import io.github.jkvm.sandbox.SandboxState;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A Linux guest in a process of its own does what one in this process does, and the end of that process is an exception here. */
@RequiresLinuxGuest
@Timeout(600)
class IsolatedLinuxTest {
    private static final Limits LIMITS = Limits.DEFAULT.withDeadline(Duration.ofMinutes(4));

    @TempDir
    private Path folder;

    private final List<ProcessHandle> before =
            ProcessHandle.current().descendants().toList();
    private int networks;

    /** Interfaces that last, as the process of a guest opens them by their names. */
    private GuestNetwork nextNetwork() {
        String name = "jkvmi" + networks % 2;
        try {
            if (networks < 2) {
                HostCommand.run("ip", "tuntap", "add", name, "mode", "tap");
            }
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
        networks++;
        return GuestNetwork.tap(name).withAddress(GuestAddress.of("10.95.0." + networks + "/24"));
    }

    @AfterEach
    void removeNetworks() throws Exception {
        for (int i = 0; i < Math.min(2, networks); i++) {
            HostCommand.run("ip", "link", "del", "jkvmi" + i);
        }
    }

    private List<ProcessHandle> children() {
        return ProcessHandle.current()
                .descendants()
                .filter(handle -> !before.contains(handle))
                .toList();
    }

    private static void kill(List<ProcessHandle> victims) {
        // All of them: the one that waits for the JVM, and the JVM.
        victims.forEach(ProcessHandle::destroyForcibly);
        victims.forEach(victim -> victim.onExit().join());
    }

    private static String output(LinuxSandbox sandbox, String script) {
        CommandResult result = sandbox.command("sh", "-c", script).run();
        assertThat(result.errorText()).isEmpty();
        return result.outputText();
    }

    /** One test for all: each start of a JVM and each boot takes long on an emulated processor. */
    @Test
    void worksAsWithoutAProcessAndTellsOfItsEnd() throws Exception {
        Path root = BusyboxRoot.create(folder.resolve("root"), "sh", "cat", "ls", "ip", "sleep", "kill", "wc", "seq");
        try (Hypervisor hypervisor = Hypervisor.open();
                LinuxSandbox sandbox = LinuxSandbox.builder(hypervisor)
                        .rootfs(RootFs.folder(root))
                        .memory(128 << 20)
                        .limits(LIMITS)
                        .bootDeadline(Duration.ofMinutes(4))
                        .isolation(Isolation.PROCESS)
                        .network(this::nextNetwork)
                        .build()) {
            List<ProcessHandle> first = children();
            assertThat(first).isNotEmpty();
            assertThat(output(sandbox, "ip addr show eth0")).contains("inet 10.95.0.1/24");
            runsCommandsAndCopiesFiles(sandbox);
            limitsAndCrashesPoisonAndRestoringCures(sandbox);
            assertThat(children()).as("the process is still that of the start").containsAll(first);

            try (LinuxSandbox copy = sandbox.copy()) {
                endsACallWhoseProcessEnds(sandbox, first);
                assertThat(output(copy, "echo alive")).isEqualTo("alive\n");
            }
            sandbox.restore();
            assertThat(output(sandbox, "echo back")).isEqualTo("back\n");
        }
        assertThat(children()).isEmpty();
    }

    private void runsCommandsAndCopiesFiles(LinuxSandbox sandbox) throws Exception {
        CommandResult result = sandbox.command("sh", "-c", "cat; echo bad >&2; exit 3")
                .input("hello\n".getBytes(StandardCharsets.UTF_8))
                .run();
        assertThat(result.outputText()).isEqualTo("hello\n");
        assertThat(result.errorText()).isEqualTo("bad\n");
        assertThat(result.status()).isEqualTo(3);
        assertThat(result.cpuTime()).isPositive();
        // More than all buffers of the way take.
        byte[] bytes = new byte[2_000_000];
        Arrays.fill(bytes, (byte) 7);
        sandbox.write(bytes, "/new");
        assertThat(output(sandbox, "wc -c </new")).isEqualTo("2000000\n");
        assertThat(sandbox.read("/new", bytes.length)).isEqualTo(bytes);
        try (RunningCommand command = sandbox.command("cat").start()) {
            command.input().write("there and back\n".getBytes(StandardCharsets.UTF_8));
            command.input().flush();
            assertThat(command.output().readNBytes(15))
                    .asString(StandardCharsets.UTF_8)
                    .isEqualTo("there and back\n");
            command.input().close();
            assertThat(command.await().status()).isZero();
        }
    }

    private static void limitsAndCrashesPoisonAndRestoringCures(LinuxSandbox sandbox) throws Exception {
        assertThatExceptionOfType(LimitExceededException.class)
                .isThrownBy(() -> sandbox.command("sh", "-c", "while :; do :; done")
                        .limits(LIMITS.withDeadline(Duration.ofSeconds(2)))
                        .run())
                .satisfies(e -> assertThat(e.limit()).isEqualTo(Limit.DEADLINE));
        assertThat(sandbox.state()).isEqualTo(SandboxState.POISONED);
        sandbox.restore();
        assertThat(output(sandbox, "ls /new 2>/dev/null; echo clean")).isEqualTo("clean\n");
        assertThatExceptionOfType(LimitExceededException.class)
                .isThrownBy(() -> sandbox.command("sh", "-c", "while :; do :; done")
                        .limits(LIMITS.withCpuTime(Duration.ofSeconds(2)))
                        .run())
                .satisfies(e -> assertThat(e.limit()).isEqualTo(Limit.CPU_TIME));
        sandbox.restore();
        assertThatExceptionOfType(GuestCrashedException.class)
                .isThrownBy(() -> sandbox.command("sh", "-c", "echo c >/proc/sysrq-trigger; sleep 1000")
                        .run())
                .withMessageContaining("the guest broke down");
        sandbox.restore();
        try (RunningCommand command =
                sandbox.command("sh", "-c", "echo ready; sleep 1000").start()) {
            assertThat(command.output().read()).isEqualTo('r');
            sandbox.cancel();
            assertThatExceptionOfType(CallCancelledException.class).isThrownBy(command::await);
        }
        sandbox.restore();
    }

    private static void endsACallWhoseProcessEnds(LinuxSandbox sandbox, List<ProcessHandle> itsOwn) throws Exception {
        try (RunningCommand command =
                sandbox.command("sh", "-c", "echo ready; sleep 1000").start()) {
            assertThat(command.output().read()).isEqualTo('r');
            kill(itsOwn);
            assertThatExceptionOfType(SandboxProcessException.class)
                    .isThrownBy(command::await)
                    .withMessageContaining("the process of the sandbox");
        }
        assertThat(sandbox.state()).isEqualTo(SandboxState.POISONED);
    }
}
