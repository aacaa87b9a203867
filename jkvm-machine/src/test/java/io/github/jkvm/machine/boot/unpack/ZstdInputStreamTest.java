package io.github.jkvm.machine.boot.unpack;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Clauses are those of RFC 8878. */
class ZstdInputStreamTest {
    private static final int MAX_WINDOW = 128 << 20;
    private static final byte[] MIXED = Arrays.copyOf(Samples.mixed(400_000), 40_000);

    private static byte[] frame(String name) {
        try (InputStream in = Objects.requireNonNull(ZstdInputStreamTest.class.getResourceAsStream(name), name)) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] unpack(byte[] packed) throws IOException {
        try (InputStream in = new ZstdInputStream(new ByteArrayInputStream(packed), MAX_WINDOW)) {
            return in.readAllBytes();
        }
    }

    private static byte[] joined(byte[]... parts) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            bytes.writeBytes(part);
        }
        return bytes.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(strings = {"mixed-19.zst", "mixed-fast.zst", "mixed-window-128m.zst"})
    void unpacksTextOfEveryStrategyAndWindow(String name) throws IOException {
        assertThat(unpack(frame(name))).isEqualTo(MIXED);
    }

    @Test
    void unpacksNothingFromNothing() throws IOException {
        assertThat(unpack(new byte[0])).isEmpty();
    }

    @Test
    void unpacksFramesInARowAndSkipsWhatIsSkippable() throws IOException {
        // 3.1.2: magic 0x184D2A50 to 0x184D2A5F, the size in four bytes, and so many bytes.
        byte[] skippable = {0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 'x', 'y', 'z'};

        assertThat(unpack(joined(skippable, frame("zeros.zst"), skippable, skippable, frame("short.zst"), skippable)))
                .isEqualTo(joined(new byte[400_000], Samples.mixed(60)));
    }

    @Test
    void givesSingleBytes() throws IOException {
        try (InputStream in = new ZstdInputStream(new ByteArrayInputStream(frame("short.zst")), MAX_WINDOW)) {
            for (byte expected : Samples.mixed(60)) {
                assertThat(in.read()).isEqualTo(Byte.toUnsignedInt(expected));
            }
            assertThat(in.read()).isEqualTo(-1);
            assertThat(in.read()).isEqualTo(-1);
        }
    }

    @Test
    void refusesWindowsThatAreTooLarge() {
        // A window of 2^41 bytes (3.1.1.1.2), and a single segment of 2^64 - 1 bytes (3.1.1.1.4).
        byte[] window = {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD, 0, (byte) 0xF8, 1, 0, 0};
        byte[] segment = {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD, (byte) 0xE0, -1, -1, -1, -1, -1, -1, -1, -1, 1, 0, 0};

        assertThatThrownBy(() -> unpack(window))
                .isInstanceOf(IOException.class)
                .hasMessage("zstd frame needs a window of 2199023255552 bytes; at most 134217728 are given");
        assertThatThrownBy(() -> unpack(segment)).hasMessageContaining("18446744073709551615 bytes");
    }

    @Test
    void refusesAFrameThatIsCutOffAnywhere() {
        byte[] frame = frame("mixed-19.zst");
        for (int length = 1; length < frame.length; length += length < 200 ? 1 : 97) {
            byte[] cut = Arrays.copyOf(frame, length);
            assertThatThrownBy(() -> unpack(cut)).as("%d bytes", length).isInstanceOf(IOException.class);
        }
    }

    @Test
    void refusesAWrongChecksumAndAWrongSize() {
        byte[] frame = frame("mixed-19.zst");
        frame[frame.length - 1] ^= 1;
        assertThatThrownBy(() -> unpack(frame)).hasMessage("zstd frame has a wrong checksum");

        // A single segment of 4 bytes whose only block, raw, has 3.
        byte[] wrong = {0x28, (byte) 0xB5, 0x2F, (byte) 0xFD, 0x20, 4, 3 << 3 | 1, 0, 0, 'a', 'b', 'c'};
        assertThatThrownBy(() -> unpack(wrong))
                .hasMessageContaining("says that it unpacks to 4 bytes, and unpacks to 3");
    }

    @Test
    void refusesArgumentsThatMakeNoSense() {
        assertThatThrownBy(() -> new ZstdInputStream(InputStream.nullInputStream(), 0))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void agreesWithTheReferenceToolFarBeyondTheWindow(@TempDir Path folder) throws Exception {
        Path tool = Path.of("/usr/bin/zstd");
        assumeTrue(Files.isExecutable(tool), "no /usr/bin/zstd: apt-get install zstd to run this");
        byte[] contents = Samples.mixed(3_000_000);
        Path file = Files.write(folder.resolve("contents"), contents);
        for (List<String> options : List.of(
                List.of("-1", "--zstd=wlog=10"),
                List.of("-3", "--zstd=wlog=17"),
                List.of("-19", "--zstd=wlog=18"),
                List.of("-9", "--long=27", "--no-check"))) {
            Path packed = folder.resolve("packed" + options.hashCode());
            ProcessBuilder zstd = new ProcessBuilder(tool.toString(), "-q", file.toString(), "-o", packed.toString());
            zstd.command().addAll(options);
            assertThat(zstd.inheritIO().start().waitFor()).isZero();
            assertThat(unpack(Files.readAllBytes(packed))).as("%s", options).isEqualTo(contents);
        }
    }

    @Property(tries = 200)
    void hashesTheSameInParts(@ForAll byte[] bytes, @ForAll @IntRange(min = 1, max = 70) int part) {
        XxHash64 hash = new XxHash64();
        for (int from = 0; from < bytes.length; from += part) {
            hash.update(bytes, from, Math.min(part, bytes.length - from));
        }

        assertThat(hash.value()).isEqualTo(XxHash64.hash(bytes));
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
            assertThat(unpack(frame).length).isLessThan(1 << 26);
        } catch (IOException e) {
            assertThat(e.getMessage()).isNotBlank();
        }
    }
}
