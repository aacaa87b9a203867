package io.github.jkvm.machine.boot.unpack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Clauses are those of RFC 8878. */
class ZstdDecoderTest {
    private static final byte[] MIXED = Arrays.copyOf(Samples.mixed(400_000), 40_000);

    private static byte[] frame(String name) {
        try (InputStream in = Objects.requireNonNull(ZstdDecoderTest.class.getResourceAsStream(name), name)) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"mixed-19.zst", "mixed-fast.zst", "mixed-window-128m.zst"})
    void unpacksTextOfEveryStrategyAndWindow(String name) throws IOException {
        assertThat(ZstdDecoder.decode(frame(name), MIXED.length)).isEqualTo(MIXED);
    }

    @Test
    void unpacksNoiseRunsAndShortFrames() throws IOException {
        assertThat(ZstdDecoder.decode(frame("noise.zst"), 1000)).isEqualTo(Samples.noise(1000));
        assertThat(ZstdDecoder.decode(frame("zeros.zst"), 400_000)).isEqualTo(new byte[400_000]);
        assertThat(ZstdDecoder.decode(frame("short.zst"), 60)).isEqualTo(Samples.mixed(60));
    }

    @Test
    void unpacksRawAndRleBlocksOfAHandMadeFrame() throws IOException {
        // 3.1.1.2: a raw block of 2 bytes, then the last, a run of 3.
        byte[] frame = {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD, 0, 0, 2 << 3, 0, 0, 'h', 'i', 3 << 3 | 2 | 1, 0, 0, '!'};
        assertThat(ZstdDecoder.decode(frame, 5)).isEqualTo("hi!!!".getBytes(StandardCharsets.US_ASCII));
    }

    @Test
    void hashesAsTheSpecificationSays() {
        // xxHash, tests/sanity_test_vectors.h, and the hash of no bytes with seed 0.
        assertThat(XxHash64.hash(new byte[0])).isEqualTo(0xEF46_DB37_51D8_E999L);
    }

    @Test
    void refusesAFrameOfAnotherSize() {
        byte[] frame = frame("mixed-19.zst");
        for (int size : new int[] {0, 1, MIXED.length - 1, MIXED.length + 1, Integer.MAX_VALUE}) {
            assertThatThrownBy(() -> ZstdDecoder.decode(frame, size)).isInstanceOf(IOException.class);
        }
    }

    @Test
    void refusesAFrameThatIsCutOffAnywhere() {
        byte[] frame = frame("mixed-19.zst");
        for (int length = 0; length < frame.length; length += length < 200 ? 1 : 97) {
            byte[] cut = Arrays.copyOf(frame, length);
            assertThatThrownBy(() -> ZstdDecoder.decode(cut, MIXED.length)).isInstanceOf(IOException.class);
        }
    }

    @Test
    void refusesAWrongChecksum() {
        byte[] frame = frame("mixed-19.zst");
        frame[frame.length - 1] ^= 1;
        assertThatThrownBy(() -> ZstdDecoder.decode(frame, MIXED.length)).hasMessage("zstd frame has a wrong checksum");
    }

    @Test
    void refusesWhatItDoesNotKnow() {
        byte[] start = {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD, 0, 0, 3 << 1 | 1, 0, 0};
        assertThatThrownBy(() -> ZstdDecoder.decode(start, 0)).hasMessageContaining("reserved type 3");
        start[4] = 8;
        assertThatThrownBy(() -> ZstdDecoder.decode(start, 0)).hasMessageContaining("reserved bit");
        start[4] = 1;
        start[6] = 5;
        assertThatThrownBy(() -> ZstdDecoder.decode(start, 0)).hasMessageContaining("dictionary");
        start[0] = 0;
        assertThatThrownBy(() -> ZstdDecoder.decode(start, 0)).hasMessageContaining("28 b5 2f fd");
        byte[] trailing = Arrays.copyOf(frame("short.zst"), 80);
        assertThatThrownBy(() -> ZstdDecoder.decode(trailing, 60)).hasMessageContaining("is followed by 7 bytes");
    }

    @Test
    void agreesWithTheReferenceToolAtEveryLevel(@TempDir Path folder) throws IOException, InterruptedException {
        Path tool = Path.of("/usr/bin/zstd");
        assumeTrue(Files.isExecutable(tool), "no /usr/bin/zstd: apt-get install zstd to run this");
        byte[] contents = Samples.mixed(600_000);
        Path file = Files.write(folder.resolve("contents"), contents);
        for (String level : List.of("--fast=7", "-1", "-3", "-7", "-12", "-19")) {
            Path packed = folder.resolve("packed" + level);
            Process zstd = new ProcessBuilder(tool.toString(), "-q", level, file.toString(), "-o", packed.toString())
                    .inheritIO()
                    .start();
            assertThat(zstd.waitFor()).isZero();
            assertThat(ZstdDecoder.decode(Files.readAllBytes(packed), contents.length))
                    .as(level)
                    .isEqualTo(contents);
        }
    }

    @Property(tries = 3000)
    void unpacksOrRefusesDamagedFrames(
            @ForAll @Size(min = 1, max = 4) List<Integer> positions, @ForAll byte value, @ForAll boolean fast) {
        byte[] frame = frame(fast ? "mixed-fast.zst" : "mixed-19.zst");
        for (int position : positions) {
            // Half of the damage goes to the headers and tables at the beginning.
            int reach = (position & 1) == 0 ? frame.length : 200;
            frame[Math.floorMod(position >> 1, reach)] = value;
        }
        try {
            assertThat(ZstdDecoder.decode(frame, MIXED.length)).hasSize(MIXED.length);
        } catch (IOException e) {
            assertThat(e.getMessage()).isNotBlank();
        }
    }
}
