package io.github.jkvm.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestMemory;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class PayloadFormatTest {
    private static final int MIB = 1 << 20;

    /** A PVH kernel with enough in it for packers to find something: code-like repetition and noise. */
    private static final byte[] KERNEL = kernel();

    private static byte[] kernel() {
        byte[] body = new byte[60_000];
        Random random = new Random(42);
        for (int i = 0; i < body.length; i++) {
            body[i] = (byte) (i % 7 == 0 ? random.nextInt(16) : i / 500);
        }
        return ElfBuilder.elf64()
                .load(0, 0x10_0000, body, body.length)
                .notes(4, BootFixtures.pvhNote())
                .build();
    }

    private static final List<Named<byte[]>> PAYLOADS = List.of(
            Named.of("gzip", Payloads.gzip(KERNEL)),
            Named.of("lzma", Payloads.lzma(KERNEL)),
            Named.of("xz", Payloads.xz(KERNEL)),
            Named.of("lz4", Payloads.lz4(KERNEL)),
            Named.of("zstd", Payloads.zstd(KERNEL)));

    static List<Named<byte[]>> payloads() {
        return PAYLOADS;
    }

    @ParameterizedTest
    @MethodSource("payloads")
    void unpacksWhatTheKernelsBuildPacks(byte[] payload) {
        BzImage image = (BzImage) KernelImage.of(new BzImageBuilder(payload).build());
        GuestMemory memory = BootFixtures.memory();
        LoadedKernel kernel =
                image.unpack().load(memory, BootFixtures.parameters().build());
        int offset = KERNEL.length - 60_000 - BootFixtures.pvhNote().length;
        assertThat(memory.read(0x10_0000, 60_000)).isEqualTo(Arrays.copyOfRange(KERNEL, offset, offset + 60_000));
        assertThat(kernel.registers().rip()).isEqualTo(BootFixtures.PVH_ENTRY);
    }

    @ParameterizedTest
    @MethodSource("payloads")
    void refusesASizeThatIsNotThatOfTheKernel(byte[] payload) {
        for (int size : new int[] {KERNEL.length - 1, KERNEL.length + 1, 1}) {
            byte[] lie = Arrays.copyOf(payload, payload.length);
            System.arraycopy(ElfBuilder.number(size, 4), 0, lie, lie.length - 4, 4);
            assertThatThrownBy(() -> BzImage.of(new BzImageBuilder(lie).build()).unpack())
                    .isInstanceOf(BadKernelException.class)
                    .hasMessageContaining("payload at offset 0x800");
        }
    }

    @ParameterizedTest
    @MethodSource("payloads")
    void refusesAPayloadThatIsCutOff(byte[] payload) {
        byte[] cut =
                BootFixtures.concat(Arrays.copyOf(payload, payload.length / 2), ElfBuilder.number(KERNEL.length, 4));
        assertThatThrownBy(() -> BzImage.of(new BzImageBuilder(cut).build()).unpack())
                .isInstanceOf(BadKernelException.class)
                .hasMessageContaining("data that is broken");
    }

    @Test
    void refusesAKernelAboveTheLimitBeforeItUnpacks() {
        byte[] huge = Payloads.withSize(Payloads.gzip(KERNEL), BzImage.MAX_UNPACKED_SIZE + 1);
        assertThatThrownBy(() -> BzImage.of(new BzImageBuilder(huge).build()).unpack())
                .isInstanceOf(BadKernelException.class)
                .hasMessageContaining("payload size trailer at offset")
                .hasMessageContaining("0x20000001; expected from 1 to 0x20000000");
    }

    @Test
    void takesLittleMemoryForALargeSizeThatIsALie() {
        // 512 MiB announced, 40 bytes there: the test's JVM has 1 GiB, and eight of these would not fit.
        byte[] tiny = Payloads.withSize(Payloads.gzip(new byte[10]), BzImage.MAX_UNPACKED_SIZE);
        BzImage image = BzImage.of(new BzImageBuilder(tiny).build());
        for (int i = 0; i < 100; i++) {
            assertThatThrownBy(image::unpack).hasMessageContaining("GZIP data that is broken");
        }
    }

    @Test
    void saysWhichPackersItKnows() {
        byte[] lzo = Payloads.withSize(new byte[] {(byte) 0x89, 0x4C, 0x5A, 0x4F, 0, 0}, 1000);
        assertThatThrownBy(() -> BzImage.of(new BzImageBuilder(lzo).build()).unpack())
                .hasMessage("bzImage: payload at offset 0x800 is 89 4c 5a 4f 00 00; expected the first bytes of one of"
                        + " [GZIP, LZMA, XZ, LZ4, ZSTD]");
    }

    @Test
    void refusesAPayloadOutsideTheCode() {
        assertThatThrownBy(() -> BzImage.of(new BzImageBuilder(new byte[64])
                                .put32(0x248, 0x401)
                                .build())
                        .unpack())
                .hasMessageContaining("payload_length at offset 0x24c is 0x40; expected");
        assertThatThrownBy(() -> BzImage.of(
                                new BzImageBuilder(new byte[64]).put32(0x24C, 3).build())
                        .unpack())
                .hasMessageContaining("payload_length at offset 0x24c is 0x3; expected from 4");
    }

    @Test
    void refusesAPackedKernelWithoutAPvhEntry() {
        byte[] elf =
                ElfBuilder.elf64().load(0, 0x10_0000, BootFixtures.CODE, 16).build();
        assertThatThrownBy(() -> BzImage.of(new BzImageBuilder(Payloads.gzip(elf)).build())
                        .unpack())
                .hasMessageStartingWith("kernel unpacked from bzImage: program headers")
                .hasMessageContaining("CONFIG_PVH");
    }

    @Property(tries = 300)
    void unpacksOrRefusesDamagedPayloads(
            @ForAll @IntRange(max = 4) int format, @ForAll int position, @ForAll byte value) {
        byte[] payload = PAYLOADS.get(format).getPayload().clone();
        payload[Math.floorMod(position, payload.length)] = value;
        try {
            BzImage.of(new BzImageBuilder(payload).build()).unpack(MIB);
        } catch (BadKernelException e) {
            assertThat(e.getMessage()).contains("; expected ");
        }
    }
}
