package io.github.jkvm.samples.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class InstalledKernelTest {

    @ParameterizedTest
    @CsvSource({
        "6.1.0-9-amd64, 6.1.0-10-amd64",
        "5.10.0-30-amd64, 6.1.0-1-amd64",
        "6.1.0-56-amd64, 6.1.0-57-cloud-amd64",
        "6.1, 6.1.1",
        "6.1-99999999999999999999, 6.1-100000000000000000000"
    })
    void comparesVersionsByTheirNumbers(String older, String newer) {
        assertThat(InstalledKernel.compare(older, newer)).isNegative();
        assertThat(InstalledKernel.compare(newer, older)).isPositive();
        assertThat(InstalledKernel.compare(newer, newer)).isZero();
    }

    @Test
    void findsTheNewestKernel(@TempDir Path folder) throws IOException {
        for (String name :
                new String[] {"vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-10-amd64", "initrd.img-7.0", "vmlinuz-5.99"}) {
            Files.createFile(folder.resolve(name));
        }
        assertThat(InstalledKernel.newest(folder)).isEqualTo(folder.resolve("vmlinuz-6.1.0-10-amd64"));
    }

    @Test
    void tellsHowToGetAKernelIfThereIsNone(@TempDir Path folder) {
        assertThatThrownBy(() -> InstalledKernel.newest(folder.resolve("boot")))
                .hasMessage("there is no kernel in " + folder.resolve("boot")
                        + "; install one with: sudo apt-get install linux-image-amd64 (Ubuntu: linux-image-generic),"
                        + " or give one with --kernel FILE");
    }
}
