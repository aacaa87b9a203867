package io.github.jkvm.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.Availability;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorUnavailableException;
import io.github.jkvm.testkit.RequiresKvm;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** What a user reads when KVM can't be used, from a JVM of its own for each case. */
@RequiresKvm
class AvailabilityTest {
    private static final String CLASS_PATH = System.getProperty("java.class.path");

    /** Prints what {@link Hypervisor#available()} says, and what {@link Hypervisor#open()} does. */
    static final class Probe {
        private Probe() {}

        public static void main(String[] arguments) {
            Availability availability = Hypervisor.available();
            System.out.println(availability.available() + ": " + availability.reason());
            try (Hypervisor hypervisor = Hypervisor.open()) {
                System.out.println("open: " + hypervisor.description());
            } catch (HypervisorUnavailableException e) {
                System.out.println("refused: " + e.getMessage());
            }
        }
    }

    private static String probe(String... options) throws IOException, InterruptedException {
        return java("-cp", CLASS_PATH, options);
    }

    private static String java(String pathOption, String path, String... options)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xshare:auto"));
        command.add("-XX:TieredStopAtLevel=1");
        command.add("--illegal-native-access=deny");
        command.addAll(List.of(options));
        command.addAll(List.of(pathOption, path, Probe.class.getName()));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output;
    }

    @Test
    void saysYesAndOpensWhereItCan() throws Exception {
        assertThat(probe("--enable-native-access=ALL-UNNAMED"))
                .startsWith("true: KVM API 12 (/dev/kvm)")
                .contains("open: KVM API 12 (/dev/kvm)");
    }

    @Test
    void namesTheFlagOfTheClassPathWhenNativeAccessIsDenied() throws Exception {
        assertThat(probe())
                .startsWith("false: kvm: Java may not call native functions; start it with"
                        + " --enable-native-access=ALL-UNNAMED")
                .contains("refused: kvm: Java may not call native functions");
    }

    @Test
    void namesTheFlagOfTheModulePathWhenNativeAccessIsDenied() throws Exception {
        String modules = Arrays.stream(CLASS_PATH.split(File.pathSeparator))
                .filter(entry -> entry.contains("jkvm-api") || entry.contains("jkvm-kvm-linux"))
                .collect(Collectors.joining(File.pathSeparator));
        String[] onModulePath = {"--module-path", modules, "--add-modules", "io.github.jkvm.kvm"};
        assertThat(probe(onModulePath)).contains("start it with --enable-native-access=io.github.jkvm.kvm");
        List<String> allowed = new ArrayList<>(List.of(onModulePath));
        allowed.add("--enable-native-access=io.github.jkvm.kvm");
        assertThat(probe(allowed.toArray(String[]::new))).startsWith("true: KVM API 12");
    }

    @Test
    void tellsThatTheDeviceIsMissingAndHowToLoadIt() throws Exception {
        assertThat(probe("--enable-native-access=ALL-UNNAMED", "-Djkvm.kvm.device=/nonexistent/kvm"))
                .startsWith("false: kvm: there is no /nonexistent/kvm: load KVM with 'sudo modprobe kvm_intel' or"
                        + " 'sudo modprobe kvm_amd'")
                .contains("refused: kvm: there is no /nonexistent/kvm");
    }

    @Test
    void tellsThatAFileIsNotKvm() throws Exception {
        assertThat(probe("--enable-native-access=ALL-UNNAMED", "-Djkvm.kvm.device=/dev/null"))
                .startsWith("false: kvm: /dev/null is not KVM: asked for its version it answers ENOTTY;"
                        + " see the system property jkvm.kvm.device");
    }

    @Test
    void refusesASignalThatCanNotBeUsed() throws Exception {
        for (String signal : List.of("62", "many")) {
            assertThat(probe("--enable-native-access=ALL-UNNAMED", "-Djkvm.kvm.signal=" + signal))
                    .startsWith("false: kvm: system property jkvm.kvm.signal is '" + signal
                            + "'; it must be the number of a signal from 34 to 64, not 62");
        }
        assertThat(probe("--enable-native-access=ALL-UNNAMED", "-Djkvm.kvm.signal=41"))
                .startsWith("true:");
    }
}
