package io.github.jkvm.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.HypervisorException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HugePagesTest {
    private static final long MIB_2 = 2L << 20;

    @TempDir
    Path folder;

    private void pool(String name, int total, int free, int reserved) throws IOException {
        Path pool = Files.createDirectories(folder.resolve(name));
        Files.writeString(pool.resolve("nr_hugepages"), total + "\n");
        Files.writeString(pool.resolve("free_hugepages"), free + "\n");
        Files.writeString(pool.resolve("resv_hugepages"), reserved + "\n");
    }

    @Test
    void enoughFreePagesPass() throws IOException {
        pool("hugepages-2048kB", 10, 5, 1);
        assertThatCode(() -> HugePages.check(folder, 4 * MIB_2, MIB_2)).doesNotThrowAnyException();
    }

    @Test
    void tooFewPagesAreToldWithTheCommandThatReservesEnough() throws IOException {
        pool("hugepages-2048kB", 10, 5, 1);
        assertThatThrownBy(() -> HugePages.check(folder, 8 * MIB_2, MIB_2))
                .isInstanceOf(HypervisorException.class)
                .hasMessageContaining(
                        "memory of 16777216 bytes needs 8 huge pages of 2097152 bytes; the host has 10, of"
                                + " which 4 are free")
                .hasMessageContaining("echo 14 | sudo tee " + folder.resolve("hugepages-2048kB/nr_hugepages"));
    }

    @Test
    void aSizeTheHostLacksIsToldWithThoseItHas() throws IOException {
        pool("hugepages-2048kB", 0, 0, 0);
        pool("hugepages-1048576kB", 0, 0, 0);
        assertThatThrownBy(() -> HugePages.check(folder, 1L << 24, 1L << 24))
                .isInstanceOf(HypervisorException.class)
                .hasMessageContaining(
                        "the host has no huge pages of 16777216 bytes; it knows the sizes 1048576kB, 2048kB");
        assertThatThrownBy(() -> HugePages.check(folder.resolve("absent"), MIB_2, MIB_2))
                .hasMessageContaining("it knows the sizes none");
    }

    @Test
    void theFlagIsTheLogarithmOfTheSize() {
        // Linux, include/uapi/asm-generic/hugetlb_encode.h: HUGETLB_FLAG_ENCODE_2MB is 21 << 26.
        assertThat(HugePages.sizeFlag(MIB_2)).isEqualTo(21 << 26);
        assertThat(HugePages.sizeFlag(1L << 30)).isEqualTo(30 << 26);
    }
}
