package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.sandbox.CommandResult;
import io.github.jkvm.sandbox.LimitExceededException;
import io.github.jkvm.sandbox.Limits;
import io.github.jkvm.sandbox.LinuxSandbox;
import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Debian's Python in a guest; its root is made by scripts/lib/debian-root. */
@RequiresLinuxGuest
@Timeout(600)
class PythonSandboxTest {
    private static final Path ROOT =
            Path.of(System.getProperty("jkvm.root"), "jkvm-integration-tests/target/debian-root/root");

    @Test
    void runsPythonThatNobodyTrustsAndRecoversFromIt() {
        assumeTrue(Files.isDirectory(ROOT), "no " + ROOT + ": run scripts/lib/debian-root");
        Limits limits = Limits.DEFAULT.withDeadline(Duration.ofMinutes(4));
        try (Hypervisor hypervisor = Hypervisor.open();
                LinuxSandbox sandbox = LinuxSandbox.builder(hypervisor)
                        .rootfs(RootFs.folder(ROOT))
                        .limits(limits)
                        .bootDeadline(Duration.ofMinutes(4))
                        .build()) {
            CommandResult result = sandbox.command("python3", "-c", "import json; print(json.dumps({'x': 6 * 7}))")
                    .user(65534, 65534)
                    .run();
            assertThat(result.errorText()).isEmpty();
            assertThat(result.outputText()).isEqualTo("{\"x\": 42}\n");
            assertThatExceptionOfType(LimitExceededException.class)
                    .isThrownBy(() -> sandbox.command("python3", "-c", "while True: print('flood')")
                            .limits(limits.withOutput(1 << 16))
                            .run());
            sandbox.restore();
            assertThat(sandbox.command("python3", "-c", "raise SystemExit(3)")
                            .run()
                            .status())
                    .isEqualTo(3);
        }
    }
}
