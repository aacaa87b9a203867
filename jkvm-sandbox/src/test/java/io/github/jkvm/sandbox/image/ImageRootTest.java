package io.github.jkvm.sandbox.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.sandbox.SandboxException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ImageRootTest {
    @TempDir
    private Path folder;

    private Path image(int offset, String hex) throws IOException {
        byte[] bytes = new byte[0x1_1000];
        byte[] magic = HexFormat.of().parseHex(hex);
        System.arraycopy(magic, 0, bytes, offset, magic.length);
        return Files.write(folder.resolve("image"), bytes);
    }

    @ParameterizedTest
    @CsvSource({"ext4, 1080, 53ef", "squashfs, 0, 68737173", "erofs, 1024, e2e1f5e0"})
    void recognizesFileSystems(String type, int offset, String magic) throws Exception {
        Path file = image(offset, magic);

        try (RootImage image = RootImage.open(RootFs.image(file))) {
            assertThat(image.type()).isEqualTo(type);
            assertThat(image.file()).isEqualTo(file);
            assertThat(image.config()).isEmpty();
        }

        assertThat(file).exists();
    }

    @ParameterizedTest
    @CsvSource({
        "0, 1f8b, a gzip file; unpack it first",
        "0, 514649fb, qemu-img convert -O raw",
        "65600, 5f42485266535f4d, a btrfs file system",
        "257, 7573746172, a tar archive",
        "510, 55aa, a disk with an MBR",
        "0, cafebabe, it begins with ca fe ba be 00"
    })
    void saysWhatItFoundInstead(int offset, String magic, String message) throws Exception {
        Path file = image(offset, magic);

        assertThatThrownBy(() -> RootImage.open(RootFs.image(file)))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining("image " + file + ": it holds no ext4, squashfs or erofs")
                .hasMessageContaining(message);
    }

    @Test
    void refusesAnEmptyFileAFolderAndNothing() throws Exception {
        Path empty = Files.createFile(folder.resolve("empty"));

        assertThatThrownBy(() -> RootImage.open(RootFs.image(empty)))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining("it is empty");
        assertThatThrownBy(() -> RootImage.open(RootFs.image(folder)))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining("RootFs.folder");
        assertThatThrownBy(() -> RootImage.open(RootFs.image(folder.resolve("none"))))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining("none does not exist");
    }

    @Test
    void refusesLimitsThatMakeNoSense() {
        assertThatThrownBy(() -> RootFs.folder(folder).withLimits(0, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("give 1 entry or more");
        assertThatThrownBy(() -> RootFs.folder(folder).withLimits(1, -1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("-1 bytes");
    }
}
