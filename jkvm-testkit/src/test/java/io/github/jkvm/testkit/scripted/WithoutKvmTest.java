package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.spi.HypervisorProvider;
import io.github.jkvm.testkit.MicroGuest;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The hypervisor in memory, machines and micro-guests on it need nothing that is of Linux. */
class WithoutKvmTest {
    private static final String WORKS = "machine: kernel 6.12\nmicro-guest: Reported[value=7]\n";

    @Test
    void everythingWorksWithoutTheBackendOnTheClassPath() throws Exception {
        assertThat(run(without("jkvm-kvm-linux")))
                .startsWith("found: false, no hypervisor backend on the class path or module path")
                .endsWith(WORKS);
    }

    @Test
    void aMacWithTheBackendOnItsClassPathIsToldWhatIsMissing() throws Exception {
        assertThat(run(without(), "-Dos.name=Mac OS X", "-Dos.arch=aarch64"))
                .startsWith("found: false, kvm: KVM is part of Linux, and this is Mac OS X;")
                .endsWith(WORKS);
    }

    @Test
    void aProviderAmongTheTestResourcesIsFoundBeforeKvm(@TempDir Path resources) throws Exception {
        Path services = Files.createDirectories(resources.resolve("META-INF/services"));
        Files.writeString(services.resolve(HypervisorProvider.class.getName()), WithoutKvm.Provider.class.getName());
        List<String> path = without();
        path.addFirst(resources.toString());

        assertThat(run(path))
                .startsWith("found: true, guests are Java programs\nopened: scripted hypervisor")
                .endsWith(WORKS);
    }

    /** Runs {@link WithoutKvm}, which may call no native code. */
    private static String run(List<String> classPath, String... options) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-XX:TieredStopAtLevel=1", "--illegal-native-access=deny"));
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", String.join(File.pathSeparator, classPath), WithoutKvm.class.getName()));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output;
    }

    /** What this JVM has on its class path and module path, but for some modules. */
    private static List<String> without(String... modules) throws URISyntaxException {
        List<String> path = new ArrayList<>(List.of(root(WithoutKvm.class), root(MicroGuest.class)));
        Stream.of("jdk.module.path", "java.class.path")
                .map(name -> System.getProperty(name, ""))
                .flatMap(paths -> Stream.of(paths.split(File.pathSeparator, -1)))
                .filter(entry -> !entry.isEmpty())
                .filter(entry -> Stream.of(modules).noneMatch(entry::contains))
                .forEach(path::add);
        return path;
    }

    /** The folder or jar that a class is from; that of a module's test classes is not on any path. */
    private static String root(Class<?> type) throws URISyntaxException {
        String name = "/" + type.getName().replace('.', '/') + ".class";
        String found = Objects.requireNonNull(type.getResource(name)).toString();
        String root = found.substring(0, found.length() - name.length());
        if (root.startsWith("jar:")) {
            root = root.substring("jar:".length(), root.length() - 1);
        }
        return Path.of(new URI(root)).toString();
    }
}
