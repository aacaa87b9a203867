package io.github.jkvm.sandbox.image;

import static io.github.jkvm.sandbox.image.LayoutBuilder.file;
import static io.github.jkvm.sandbox.image.LayoutBuilder.folder;
import static io.github.jkvm.sandbox.image.LayoutBuilder.link;
import static io.github.jkvm.sandbox.image.LayoutBuilder.symlink;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * No layer and no description of an image gets more than an {@link IOException}, hangs, or takes more memory than the tests have, which is little; and what is
 * taken becomes an image that can be read.
 */
class LayerFuzzTest {
    private static final long CASES = Long.getLong("jkvm.fuzz.cases", 3_000);
    private static final long SEED = Long.getLong("jkvm.fuzz.seed", 0x6C61_7972L);
    private static final int RECORD = 512;

    private static final List<byte[]> LAYERS = List.of(
            LayoutBuilder.tar(
                    folder("./", 0755), folder("a/", 0700), file("a/b", "text"), link("c", "a/b"), symlink("d", "a")),
            LayoutBuilder.tar(
                    file("d/new", "x".repeat(700)), file("a/.wh.b", ""), file("a/.wh..wh..opq", ""), file("a/z", "")),
            LayoutBuilder.tar(file("n".repeat(200) + "/" + "m".repeat(120), "long"), symlink("e", "t".repeat(150))),
            LayoutBuilder.tar(to -> {
                TarArchiveEntry entry = new TarArchiveEntry("attributes", (byte) '3', true);
                entry.setIds(1 << 30, 7);
                entry.addPaxHeader("mtime", "-12345.6789");
                entry.addPaxHeader("SCHILY.xattr.user.one", "1");
                entry.addPaxHeader("SCHILY.xattr.security.capability", "\1\0\0\2");
                to.putArchiveEntry(entry);
                to.closeArchiveEntry();
            }));

    @TempDir
    private Path temporary;

    @Test
    void survivesAnyLayer() throws IOException {
        Path image = temporary.resolve("image");
        int refused = 0;
        for (long i = 0; i < CASES; i++) {
            long seed = SEED + i;
            try {
                refused += takesLayers(image, new SplittableRandom(seed)) ? 0 : 1;
            } catch (RuntimeException | Error e) {
                throw new AssertionError("repeat with -Djkvm.fuzz.cases=1 -Djkvm.fuzz.seed=" + seed, e);
            }
        }
        assertThat(refused).as("of " + CASES).isBetween((int) (CASES / 8), (int) (CASES - CASES / 8));
    }

    /** Returns whether the layers were taken. */
    private static boolean takesLayers(Path image, SplittableRandom random) throws IOException {
        try (FileChannel channel = FileChannel.open(
                image, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            Budget budget = new Budget(100, 1 << 16);
            ErofsWriter writer = new ErofsWriter(channel);
            LayerTree tree = new LayerTree(writer, budget);
            try {
                for (int i = random.nextInt(3); i >= 0; i--) {
                    byte[] layer = changed(LAYERS.get(random.nextInt(LAYERS.size())), random);
                    tree.add(new CountedInputStream(new ByteArrayInputStream(layer), budget));
                }
            } catch (IOException e) {
                assertThat(e.getMessage()).isNotBlank();
                return false;
            }
            writer.finish(tree.root());
        }
        assertThat(ErofsReader.read(image).mode() >> 12).isEqualTo(4);
        return true;
    }

    /** Changes some bytes of headers and extended headers, and mostly makes the checksums fit, by which the reader gets further. */
    private static byte[] changed(byte[] archive, SplittableRandom random) {
        byte[] bad = random.nextInt(8) == 0 ? Arrays.copyOf(archive, random.nextInt(archive.length)) : archive.clone();
        for (int i = random.nextInt(4); i > 0 && bad.length > 0; i--) {
            int at = random.nextInt(Math.min(bad.length, 6 * RECORD));
            bad[at] = switch (random.nextInt(4)) {
                case 0 -> (byte) random.nextInt();
                case 1 -> (byte) ('0' + random.nextInt(10));
                case 2 -> (byte) "./\0 xgLKSV=".charAt(random.nextInt(11));
                default -> (byte) (bad[at] + 1);
            };
        }
        if (random.nextInt(8) != 0) {
            for (int at = 0; at + RECORD <= bad.length; at += RECORD) {
                if (new String(bad, at + 257, 5, StandardCharsets.ISO_8859_1).equals("ustar")) {
                    fixChecksum(bad, at);
                }
            }
        }
        return bad;
    }

    private static void fixChecksum(byte[] archive, int header) {
        Arrays.fill(archive, header + 148, header + 156, (byte) ' ');
        int sum = 0;
        for (int i = 0; i < RECORD; i++) {
            sum += Byte.toUnsignedInt(archive[header + i]);
        }
        byte[] digits = "%06o\0 ".formatted(sum).getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(digits, 0, archive, header + 148, digits.length);
    }

    @Test
    void survivesAnyDescription() throws IOException {
        LayoutBuilder builder =
                new LayoutBuilder(temporary.resolve("layout")).layer(LayoutBuilder.TAR, LAYERS.getFirst());
        String manifest = builder.manifest("");
        Path layout = builder.index(manifest);
        byte[] index = Files.readAllBytes(layout.resolve("index.json"));
        byte[] description;
        try (BlobInputStream blob =
                new OciLayout(layout).open(Descriptor.of(Json.parse(LayoutBuilder.bytes(manifest)), ""))) {
            description = blob.readAllBytes();
        }
        for (long i = 0; i < CASES / 3; i++) {
            long seed = SEED + i;
            SplittableRandom random = new SplittableRandom(seed);
            try {
                if (random.nextBoolean()) {
                    Files.write(layout.resolve("index.json"), changedText(index, random));
                } else {
                    builder.index(builder.blob(LayoutBuilder.MANIFEST, changedText(description, random), ""));
                }
                OciLayout opened = new OciLayout(layout);
                OciImage image = OciImage.read(opened, opened.find(Optional.empty()));
                assertThat(image.layers().size()).isLessThan(2);
            } catch (IOException refused) {
                assertThat(refused.getMessage()).isNotBlank();
            } catch (RuntimeException | Error e) {
                throw new AssertionError("repeat with -Djkvm.fuzz.cases=3 -Djkvm.fuzz.seed=" + seed, e);
            }
        }
    }

    private static byte[] changedText(byte[] text, SplittableRandom random) {
        byte[] bad = random.nextInt(8) == 0 ? Arrays.copyOf(text, random.nextInt(text.length)) : text.clone();
        for (int i = random.nextInt(3); i >= 0 && bad.length > 0; i--) {
            bad[random.nextInt(bad.length)] = (byte) "{}[]\":,0129ex\\u- \n".charAt(random.nextInt(18));
        }
        return bad;
    }
}
