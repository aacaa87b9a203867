package io.github.jkvm.virtio.block;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** QEMU's tool for images, which the tests hold the qcow2 code against. */
final class QemuImg {
    private static final boolean THERE = run(List.of("qemu-img", "--version")).status == 0;

    /** How a run ended, and what it printed. */
    record Result(int status, String output) {}

    private QemuImg() {}

    /** Skips the calling test, and says so, where the tool is missing. */
    static void require() {
        assumeTrue(THERE, "needs qemu-img; install the package qemu-utils");
    }

    static boolean isThere() {
        return THERE;
    }

    /** Runs a command that has to succeed; returns what it printed. */
    static String run(Object... arguments) {
        Result result = tryRun(arguments);
        assertThat(result.status)
                .as("%s: %s", Arrays.toString(arguments), result.output)
                .isZero();
        return result.output;
    }

    static Result tryRun(Object... arguments) {
        List<String> command = new ArrayList<>(List.of("qemu-img"));
        for (Object argument : arguments) {
            command.add(argument.toString());
        }
        return run(command);
    }

    private static Result run(List<String> command) {
        try {
            Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Result(process.waitFor(), output);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        } catch (IOException e) {
            if (command.contains("--version")) {
                return new Result(-1, String.valueOf(e.getMessage()));
            }
            throw new UncheckedIOException(e);
        }
    }
}
