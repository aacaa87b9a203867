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

/** Clauses are those of lz4, doc/lz4_Block_format.md. */
class Lz4DecoderTest {
    private static final byte[] MIXED = Arrays.copyOf(Samples.mixed(400_000), 40_000);

    /** Packed by {@code lz4 -l -9} of lz4 1.9.4. */
    private static byte[] frame() {
        try (InputStream in = Objects.requireNonNull(Lz4DecoderTest.class.getResourceAsStream("mixed.lz4"))) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] handMade(int... block) {
        byte[] frame = new byte[8 + block.length];
        byte[] start = {2, 0x21, 0x4C, 0x18, (byte) block.length};
        System.arraycopy(start, 0, frame, 0, start.length);
        for (int i = 0; i < block.length; i++) {
            frame[8 + i] = (byte) block[i];
        }
        return frame;
    }

    @Test
    void unpacksText() throws IOException {
        assertThat(Lz4Decoder.decode(frame(), MIXED.length)).isEqualTo(MIXED);
    }

    @Test
    void repeatsBytesThatTheMatchItselfWrites() throws IOException {
        // "An offset of 1 repeats the last byte": two literals, a match of 4 + 2 from 2 back, one literal to end.
        byte[] frame = handMade(0x22, 'a', 'b', 2, 0, 0x10, 'c');
        assertThat(Lz4Decoder.decode(frame, 9)).isEqualTo("ababababc".getBytes(StandardCharsets.US_ASCII));
    }

    @Test
    void addsUpLongLengths() throws IOException {
        // A match of 4 + 15 + 255 + 1 from 1 back.
        byte[] frame = handMade(0x1F, 'x', 1, 0, 255, 1, 0x10, 'y');
        byte[] unpacked = Lz4Decoder.decode(frame, 277);
        assertThat(unpacked[275]).isEqualTo((byte) 'x');
        assertThat(unpacked[276]).isEqualTo((byte) 'y');
    }

    @Test
    void refusesMatchesOutOfTheBlock() {
        assertThatThrownBy(() -> Lz4Decoder.decode(handMade(0x10, 'x', 2, 0, 0x10, 'y'), 6))
                .hasMessageContaining("reaches out of its block");
        // "The value 0 is invalid."
        assertThatThrownBy(() -> Lz4Decoder.decode(handMade(0x10, 'x', 0, 0, 0x10, 'y'), 6))
                .isInstanceOf(IOException.class);
    }

    @Test
    void refusesBlocksThatAreCutOff() {
        byte[] frame = frame();
        for (int length = 0; length < frame.length; length += length < 200 ? 1 : 97) {
            byte[] cut = Arrays.copyOf(frame, length);
            assertThatThrownBy(() -> Lz4Decoder.decode(cut, MIXED.length)).isInstanceOf(IOException.class);
        }
        assertThatThrownBy(() -> Lz4Decoder.decode(handMade(0xF0, 255), 1)).isInstanceOf(IOException.class);
    }

    @Test
    void refusesAFrameOfAnotherSize() {
        byte[] frame = frame();
        for (int size : new int[] {0, 1, MIXED.length - 1, MIXED.length + 1, Integer.MAX_VALUE}) {
            assertThatThrownBy(() -> Lz4Decoder.decode(frame, size)).isInstanceOf(IOException.class);
        }
    }

    @Test
    void agreesWithTheReferenceToolOnSeveralBlocks(@TempDir Path folder) throws IOException, InterruptedException {
        Path tool = Path.of("/usr/bin/lz4");
        assumeTrue(Files.isExecutable(tool), "no /usr/bin/lz4: apt-get install lz4 to run this");
        byte[] contents = new byte[9_000_000];
        byte[] text = Samples.mixed(1_000_000);
        for (int at = 0; at < contents.length; at += text.length) {
            System.arraycopy(text, 0, contents, at, text.length);
        }
        Path file = Files.write(folder.resolve("contents"), contents);
        for (String level : List.of("-1", "-9")) {
            Path packed = folder.resolve("packed" + level);
            Process lz4 = new ProcessBuilder(tool.toString(), "-q", "-l", level, file.toString(), packed.toString())
                    .inheritIO()
                    .start();
            assertThat(lz4.waitFor()).isZero();
            assertThat(Lz4Decoder.decode(Files.readAllBytes(packed), contents.length))
                    .isEqualTo(contents);
        }
    }

    @Property(tries = 3000)
    void unpacksOrRefusesDamagedFrames(@ForAll @Size(min = 1, max = 4) List<Integer> positions, @ForAll byte value) {
        byte[] frame = frame();
        for (int position : positions) {
            frame[Math.floorMod(position, frame.length)] = value;
        }
        try {
            assertThat(Lz4Decoder.decode(frame, MIXED.length)).hasSize(MIXED.length);
        } catch (IOException e) {
            assertThat(e.getMessage()).isNotBlank();
        }
    }
}
