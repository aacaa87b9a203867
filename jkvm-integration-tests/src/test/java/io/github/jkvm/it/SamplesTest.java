package io.github.jkvm.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.testkit.HostFeature;
import io.github.jkvm.testkit.RequiresKvm;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Runs the samples as a user does: {@code java -jar}, in a JVM of their own. */
@RequiresKvm
class SamplesTest {
    private static final long LIMIT_SECONDS = 240;

    @TempDir
    Path folder;

    @Test
    void helloGuestPrintsTheGreetingAndHowLongItTook() throws Exception {
        Result result = run("hello-guest", "");
        assertThat(result.errors()).isEmpty();
        assertThat(result.output()).matches("""
                        Hello from the guest!
                        create [0-9]+\\.[0-9]{2} ms, run [0-9]+\\.[0-9]{2} ms, close [0-9]+\\.[0-9]{2} ms
                        """);
        assertThat(result.status()).isZero();
    }

    @ParameterizedTest
    @CsvSource({"bzimage, 1", "pvh, 2"})
    @RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS)
    void bootLinuxPassesOutputInputAndStatusOfACommand(String protocol, int cpus) throws Exception {
        Result result = run(
                "boot-linux",
                "one\ntwo \u0004\u0016",
                "--boot",
                protocol,
                "--cpus",
                String.valueOf(cpus),
                "--timeout",
                "200",
                "--",
                "sh",
                "-c",
                "uname -s; nproc; cat; exit 37");
        assertThat(result.errors()).isEmpty();
        assertThat(result.output()).isEqualTo("Linux\n" + cpus + "\none\ntwo \u0004\u0016");
        assertThat(result.status()).isEqualTo(37);
    }

    @Test
    @RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS)
    void bootLinuxTellsAKernelPanicFromAnExit() throws Exception {
        Result result = run("boot-linux", "", "--timeout", "200", "--append", "rdinit=/no/such/init");
        assertThat(result.errors()).contains("boot-linux: the guest's kernel panicked", "Kernel panic - not syncing");
        assertThat(result.status()).isEqualTo(123);
    }

    @Test
    @RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS)
    void bootLinuxStopsAtItsTimeLimit() throws Exception {
        Result result = run("boot-linux", "", "--timeout", "1", "--", "sleep", "1000");
        assertThat(result.errors()).contains("boot-linux: stopped at the time limit of 1 s");
        assertThat(result.status()).isEqualTo(124);
    }

    @Test
    void bootLinuxRefusesWhatItCannotFollow() throws Exception {
        Result result = run("boot-linux", "", "--cpus", "many");
        assertThat(result.errors()).isEqualTo("boot-linux: --cpus 'many' is not a number from 1 to 255\n");
        assertThat(result.output()).isEmpty();
        assertThat(result.status()).isEqualTo(125);
    }

    @Test
    void functionSandboxStopsWhatDoesNotReturnAndRestoresIt() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/gcc")), "the sample has its guest built by gcc; install gcc");
        Result result = run("function-sandbox", "", "to be or notable", "");
        assertThat(result.errors()).isEmpty();
        assertThat(result.output()).isEqualTo("""
                          host: the guest reads
                        longest of 'to be or notable': Word[text=notable, length=7]
                          host: the guest reads
                        the guest says: there is no word
                        the guest was called 2 times; it is READY
                        stopped: the call took longer than PT2S, its deadline; it is POISONED
                        restored: called 0 times; it is READY
                        """);
        assertThat(result.status()).isZero();
    }

    private record Result(int status, String output, String errors) {}

    @Test
    @RequiresKvm(features = HostFeature.LONG_MODE_EXCEPTIONS)
    void customVirtioDeviceTypesIntoLinux() throws Exception {
        Result result = run("custom-virtio-device", "", "hi", cloudKernel());
        assertThat(result.output()).contains("""
                        waiting for keys of jkvm keyboard
                        key 35 pressed
                        key 35 released
                        key 23 pressed
                        key 23 released
                        """);
        assertThat(result.status()).isZero();
    }

    private static String cloudKernel() throws IOException {
        String prefix = "vmlinuz-";
        try (DirectoryStream<Path> kernels = Files.newDirectoryStream(Path.of("/boot"), prefix + "*-cloud-amd64")) {
            for (Path kernel : kernels) {
                return kernel.getFileName().toString().substring(prefix.length());
            }
        }
        return abort("/boot has no kernel with the drivers: install the package linux-image-cloud-amd64");
    }

    private Result run(String sample, String input, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-jar",
                jar(sample).toString()));
        command.addAll(List.of(arguments));
        Path stdin = Files.writeString(folder.resolve("stdin"), input);
        Path stdout = folder.resolve("stdout");
        Path stderr = folder.resolve("stderr");
        Process process = new ProcessBuilder(command)
                .redirectInput(stdin.toFile())
                .redirectOutput(stdout.toFile())
                .redirectError(stderr.toFile())
                .start();
        try {
            assertThat(process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS))
                    .as("%s ended within %d s", sample, LIMIT_SECONDS)
                    .isTrue();
        } finally {
            process.destroyForcibly();
        }
        return new Result(
                process.exitValue(),
                Files.readString(stdout, StandardCharsets.UTF_8),
                Files.readString(stderr, StandardCharsets.UTF_8));
    }

    private static Path jar(String sample) throws IOException {
        Path target = Path.of(System.getProperty("jkvm.root"), "samples", sample, "target");
        try (DirectoryStream<Path> jars = Files.newDirectoryStream(target, "jkvm-sample-*.jar")) {
            return jars.iterator().next();
        }
    }
}
