package io.github.jkvm.it.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.MicroVm;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.linux.LinuxGuest;
import io.github.jkvm.testkit.linux.LinuxMachine;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** What becomes of tests with guests on a host that can't run any: in a JVM that looks for KVM in the wrong place. */
class SkippedGuestsTest {
    private static final String REASON = "kvm: there is no /nowhere/kvm: load KVM with";

    /** Not run by itself. */
    static class ParameterCase {
        @Test
        void hasAGuest(@MicroVm MicroGuest guest) {
            throw new AssertionError("runs");
        }

        @Test
        void hasNone() {}
    }

    /** Not run by itself. */
    static class FieldCase {
        @MicroVm
        private MicroGuest guest;

        @Test
        void hasAGuest() {
            throw new AssertionError(guest.report());
        }
    }

    /** Not run by itself. */
    static class StaticFieldCase {
        @MicroVm
        private static MicroGuest shared;

        @Test
        void hasAGuest() {
            throw new AssertionError(shared.report());
        }
    }

    /** Not run by itself. */
    @MicroVm
    static class ClassCase {
        @Test
        void hasAGuest(MicroGuest guest) {
            throw new AssertionError("runs");
        }
    }

    /** Not run by itself. */
    static class MethodCase {
        @Test
        @RequiresKvm
        void needsKvm() {
            throw new AssertionError("runs");
        }
    }

    /** Not run by itself. */
    static class LinuxParameterCase {
        @Test
        void hasAGuest(@LinuxGuest LinuxMachine machine) {
            throw new AssertionError("runs");
        }
    }

    /** Not run by itself. */
    static class LinuxFieldCase {
        @LinuxGuest
        private LinuxMachine machine;

        @Test
        void hasAGuest() {
            throw new AssertionError(machine.consoleTail());
        }
    }

    /** Not run by itself. */
    static class LinuxStaticFieldCase {
        @LinuxGuest
        private static LinuxMachine shared;

        @Test
        void hasAGuest() {
            throw new AssertionError(shared.consoleTail());
        }
    }

    /** Runs the cases and prints what became of each. */
    static final class Runner {
        private Runner() {}

        public static void main(String[] arguments) {
            TestExecutionListener listener = new TestExecutionListener() {
                @Override
                public void executionSkipped(TestIdentifier test, String reason) {
                    System.out.println(test.getLegacyReportingName() + " is skipped: " + reason);
                }

                @Override
                public void executionFinished(TestIdentifier test, TestExecutionResult result) {
                    result.getThrowable()
                            .ifPresentOrElse(
                                    failure -> System.out.println(
                                            test.getLegacyReportingName() + " fails: " + failure.getMessage()),
                                    () -> System.out.println(test.getLegacyReportingName() + " ends"));
                }
            };
            LauncherFactory.create()
                    .execute(
                            LauncherDiscoveryRequestBuilder.request()
                                    .selectors(
                                            selectClass(ParameterCase.class),
                                            selectClass(FieldCase.class),
                                            selectClass(StaticFieldCase.class),
                                            selectClass(ClassCase.class),
                                            selectClass(LinuxParameterCase.class),
                                            selectClass(LinuxFieldCase.class),
                                            selectClass(LinuxStaticFieldCase.class),
                                            selectClass(MethodCase.class))
                                    .build(),
                            listener);
        }
    }

    private static List<String> run(String... options) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED"));
        command.add("-Djkvm.kvm.device=/nowhere/kvm");
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Runner.class.getName()));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output.lines().toList();
    }

    @Test
    void areSkippedWithASentence() throws Exception {
        List<String> lines = run();

        assertThat(lines)
                .filteredOn(line -> line.contains(" is skipped: " + REASON))
                .hasSize(8);
        assertThat(lines).noneMatch(line -> line.contains(" fails: "));
        assertThat(lines).anyMatch(line -> line.startsWith("hasNone() ends"));
    }

    @Test
    void failWhereSkippingIsForbidden() throws Exception {
        List<String> lines = run("-Djkvm.testkit.skips=fail");

        assertThat(lines).noneMatch(line -> line.contains(" is skipped: "));
        assertThat(lines)
                .filteredOn(line -> line.contains(" fails: ") && line.contains("forbids skipping: " + REASON))
                .hasSize(8);
        assertThat(lines).anyMatch(line -> line.startsWith("hasNone() ends"));
    }
}
