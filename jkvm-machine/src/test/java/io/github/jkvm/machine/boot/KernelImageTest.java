package io.github.jkvm.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KernelImageTest {

    @Test
    void saysWhatItLookedForWhenNothingMatches() {
        assertThatThrownBy(() -> KernelImage.of(new byte[] {1, 2, (byte) 0xFF}))
                .isInstanceOf(BadKernelException.class)
                .hasMessage(
                        "kernel image: start at offset 0x0 is 01 02 ff; expected \"HdrS\" at 0x202 and 0xaa55 at 0x1fe"
                                + " (bzImage), 7f 45 4c 46 at 0 (ELF), or 0x1badb002 with a right checksum at a multiple of 4 in the"
                                + " first 8192 bytes (multiboot 1); code without a header is a FlatImage");
        assertThatThrownBy(() -> KernelImage.of(new byte[0])).hasMessageContaining("is empty; expected");
    }

    @Test
    void readsAKernelFromAFile(@TempDir Path folder) throws IOException {
        Path file =
                Files.write(folder.resolve("kernel"), BootFixtures.pvhKernel().build());
        assertThat(KernelImage.read(file).format()).isEqualTo(KernelFormat.PVH);
        assertThatThrownBy(() -> KernelImage.read(folder.resolve("none"))).isInstanceOf(NoSuchFileException.class);
    }

    @Test
    void takesAnElfThatIsBothByItsPvhNote() {
        byte[] image = ElfBuilder.elf64()
                .load(0, 0x10_0000, BootFixtures.concat(BootFixtures.multibootHeader(3), new byte[32]), 64)
                .notes(4, BootFixtures.pvhNote())
                .build();
        assertThat(KernelImage.of(image)).isInstanceOf(PvhImage.class);
        assertThat(MultibootImage.of(alignedMultibootElf())).isNotNull();
    }

    private static byte[] alignedMultibootElf() {
        return ElfBuilder.elf64()
                .entry(0x10_0020)
                .load(0x10_0000, 0x10_0000, BootFixtures.concat(BootFixtures.multibootHeader(3), new byte[32]), 64)
                .build();
    }

    @Test
    void doesNotChangeWithTheBytesItWasMadeFrom() {
        byte[] bytes = BootFixtures.pvhKernel().build();
        KernelImage image = KernelImage.of(bytes);
        bytes[bytes.length - 1] = 99;
        Arrays.fill(bytes, 64, 200, (byte) 0);
        var memory = BootFixtures.memory();
        image.load(memory, BootFixtures.parameters().build());
        assertThat(memory.read(0x10_0000, BootFixtures.CODE.length)).isEqualTo(BootFixtures.CODE);
    }

    @Test
    void keepsTheParts() {
        BadKernelException e = new BadKernelException("ELF", "e_type", 16, "0x1", "2");
        assertThat(e).hasMessage("ELF: e_type at offset 0x10 is 0x1; expected 2");
        assertThat(e.format()).isEqualTo("ELF");
        assertThat(e.field()).isEqualTo("e_type");
        assertThat(e.offset()).isEqualTo(16);
    }
}
