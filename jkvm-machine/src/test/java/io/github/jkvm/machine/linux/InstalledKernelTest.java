package io.github.jkvm.machine.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.machine.boot.BadKernelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class InstalledKernelTest {
    @TempDir
    private Path folder;

    @ParameterizedTest
    @CsvSource({
        "6.1.0-9-amd64, 6.1.0-10-amd64",
        "5.10.0-30-amd64, 6.1.0-1-amd64",
        "6.1.0-56-amd64, 6.1.0-57-cloud-amd64",
        "6.1, 6.1.1",
        "6.1-99999999999999999999, 6.1-100000000000000000000"
    })
    void comparesVersionsByTheirNumbers(String older, String newer) {
        assertThat(KernelVersion.ORDER.compare(older, newer)).isNegative();
        assertThat(KernelVersion.ORDER.compare(newer, older)).isPositive();
        assertThat(KernelVersion.ORDER.compare(newer, newer)).isZero();
    }

    private Path install(String version) throws IOException {
        Path modules = Files.createDirectories(folder.resolve("modules").resolve(version));
        Files.createFile(modules.resolve("modules.dep"));
        Files.createFile(modules.resolve("modules.builtin"));
        Path boot = Files.createDirectories(folder.resolve("boot"));
        return Files.createFile(boot.resolve("vmlinuz-" + version));
    }

    private void assertNewestIs(Path image) {
        // The images are empty: the one that is refused is the one that was chosen.
        assertThatExceptionOfType(BadKernelException.class)
                .isThrownBy(() -> InstalledKernel.newest(folder.resolve("boot"), folder.resolve("modules")));
        assertThatThrownBy(() -> {
                    Files.delete(image);
                    Files.createSymbolicLink(image, folder.resolve("gone"));
                    InstalledKernel.newest(folder.resolve("boot"), folder.resolve("modules"));
                })
                .isInstanceOf(IOException.class)
                .hasMessage("you may not read " + image + ": sudo chmod a+r " + image);
    }

    @Test
    void isTheNewestThatHasModules() throws IOException {
        install("6.1.0-9-amd64");
        Path newest = install("6.1.0-10-amd64");
        install("5.99");
        Files.createFile(folder.resolve("boot/vmlinuz-7.0-without-modules"));
        Files.createFile(folder.resolve("boot/initrd.img-7.0"));
        assertNewestIs(newest);
    }

    @Test
    void isOneForCloudsRatherThanANewerOne() throws IOException {
        install("6.10.0-1-amd64");
        assertNewestIs(install("6.1.0-56-cloud-amd64"));
    }

    @Test
    void isMissedWithWhatToType() {
        Path boot = folder.resolve("boot");
        assertThatThrownBy(() -> InstalledKernel.newest(boot, folder.resolve("modules")))
                .isInstanceOf(IOException.class)
                .hasMessage("no " + boot + "/vmlinuz-* whose modules are in " + folder.resolve("modules")
                        + ": apt-get install linux-image-cloud-amd64 (Debian) or linux-image-kvm (Ubuntu)");
    }
}
