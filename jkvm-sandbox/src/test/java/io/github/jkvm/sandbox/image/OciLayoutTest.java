package io.github.jkvm.sandbox.image;

import static io.github.jkvm.sandbox.image.LayoutBuilder.bytes;
import static io.github.jkvm.sandbox.image.LayoutBuilder.file;
import static io.github.jkvm.sandbox.image.LayoutBuilder.named;
import static io.github.jkvm.sandbox.image.LayoutBuilder.on;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.sandbox.ImageConfig;
import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.sandbox.SandboxException;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which image of a layout is taken, and that nothing is taken which is not what it says: OCI image-spec 1.1, image-layout.md. */
class OciLayoutTest {
    @TempDir
    private Path temporary;

    private LayoutBuilder layout;

    @BeforeEach
    void begin() throws IOException {
        layout = new LayoutBuilder(temporary.resolve("layout"));
    }

    private static ErofsReader.File read(RootFs root) throws IOException {
        try (RootImage image = RootImage.open(root)) {
            return ErofsReader.read(image.file());
        }
    }

    private static void fails(RootFs root, String message) {
        assertThatThrownBy(() -> RootImage.open(root))
                .isInstanceOf(SandboxException.class)
                .hasMessageContaining(message);
    }

    private String image(String name, String more) throws IOException {
        return new LayoutBuilder(temporary.resolve("layout"))
                .layer(file(name, ""))
                .manifest(more);
    }

    @Test
    void readsHowTheImageWantsToBeRun() throws Exception {
        layout.config("""
                {"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]},"config":{
                "Env":["PATH=/bin:/usr/bin","EMPTY=","EQ=a=b","broken"],"WorkingDir":"/srv","User":"33:33",
                "Entrypoint":["/bin/sh","-c"],"Cmd":["echo \\u00fc"],"Labels":null,"ExposedPorts":{"80/tcp":{}}}}""");

        try (RootImage image = RootImage.open(RootFs.oci(layout.build()))) {
            ImageConfig config = image.config().orElseThrow();
            assertThat(config.environment())
                    .containsExactly(
                            Map.entry("PATH", "/bin:/usr/bin"), Map.entry("EMPTY", ""), Map.entry("EQ", "a=b"));
            assertThat(config.workingDirectory()).isEqualTo("/srv");
            assertThat(config.user()).isEqualTo("33:33");
            assertThat(config.entrypoint()).containsExactly("/bin/sh", "-c");
            assertThat(config.command()).containsExactly("echo ü");
        }
    }

    @Test
    void takesWhatTheConfigurationDoesNotSayAsEmpty() throws Exception {
        layout.config("{\"os\":\"linux\",\"architecture\":\"amd64\"}");

        try (RootImage image = RootImage.open(RootFs.oci(layout.build()))) {
            assertThat(image.config()).contains(new ImageConfig(Map.of(), "", List.of(), List.of(), ""));
        }
    }

    @Test
    void findsImagesByNameAndDigest() throws Exception {
        String one = image("one", named("first"));
        String two = image("two", ",\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/two:latest\"}");
        Path folder = layout.index(one, two);

        assertThat(read(RootFs.oci(folder, "first")).entries().keySet()).containsExactly("one");
        assertThat(read(RootFs.oci(folder, "docker.io/library/two:latest"))
                        .entries()
                        .keySet())
                .containsExactly("two");
        String digest = Json.parse(bytes(two)).string("digest");
        assertThat(read(RootFs.oci(folder, digest)).entries().keySet()).containsExactly("two");
        fails(RootFs.oci(folder, "third"), "has no image third; known: docker.io/library/two:latest, first");
        fails(RootFs.oci(folder), "has 2 images; say which with RootFs.oci(layout, reference)");
    }

    @Test
    void takesTheOnlyImageUnderSeveralNames() throws Exception {
        Path folder = layout.index(image("one", named("a")), image("one", named("b")));

        assertThat(read(RootFs.oci(folder)).entries().keySet()).containsExactly("one");
    }

    @Test
    void picksThePlatformFromNestedIndexes() throws Exception {
        String arm = image("arm", on("linux", "arm64"));
        String proof = image("proof", on("unknown", "unknown"));
        String amd = image("amd", on("linux", "amd64"));
        String inner = layout.blob(LayoutBuilder.INDEX, bytes(LayoutBuilder.indexOf(arm, proof, amd)), "");
        String outer = layout.blob(LayoutBuilder.INDEX, bytes(LayoutBuilder.indexOf(inner)), named("multi"));
        Path folder = layout.index(outer);

        assertThat(read(RootFs.oci(folder)).entries().keySet()).containsExactly("amd");
        assertThat(read(RootFs.oci(folder, "multi")).entries().keySet()).containsExactly("amd");
    }

    @Test
    void refusesImagesForOtherPlatforms() throws Exception {
        fails(RootFs.oci(layout.index(image("arm", on("linux", "arm64")))), "but for linux/arm64");

        layout.config("{\"os\":\"windows\",\"architecture\":\"amd64\"}");
        fails(RootFs.oci(layout.build()), "is for windows/amd64, not for linux/amd64");
    }

    @Test
    void refusesIndexesWithoutEnd() throws Exception {
        String index = layout.blob(LayoutBuilder.INDEX, bytes(LayoutBuilder.indexOf()), "");
        String[] many = new String[100];
        Arrays.fill(many, index);

        fails(RootFs.oci(layout.index(many)), "more than 64 indexes");
    }

    @Test
    void refusesWhatIsNoLayout() throws Exception {
        fails(RootFs.oci(temporary), "has no file oci-layout; make one with skopeo");

        Path folder = layout.build();
        Files.writeString(folder.resolve("oci-layout"), "{\"imageLayoutVersion\":\"2.0.0\"}");
        fails(RootFs.oci(folder), "oci-layout has version '2.0.0'");

        Files.writeString(folder.resolve("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
        Files.delete(folder.resolve("index.json"));
        fails(RootFs.oci(folder), "index.json is no file");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "{",
                "[]",
                "{}{}",
                "{\"manifests\":[{}]}",
                "{\"manifests\":1, \"manifests\":2}",
                "{\"manifests\":[{\"digest\":\"sha256:../../../etc/passwd\",\"size\":1}]}",
                "{\"manifests\":[{\"digest\":\"md5:00\",\"size\":1}]}",
                "{\"manifests\":[{\"digest\":\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}]}",
                "{\"manifests\":[{\"digest\":\"sha256:0000000000000000000000000000000000000000000000000000000000000000\","
                        + "\"size\":1e400}]}"
            })
    void refusesIndexesThatAreNone(String json) throws Exception {
        Path folder = layout.build();
        Files.writeString(folder.resolve("index.json"), json);

        fails(RootFs.oci(folder), "index.json");
    }

    @Test
    void refusesJsonThatIsTooDeepOrTooLong() throws Exception {
        Path folder = layout.build();
        Files.writeString(folder.resolve("index.json"), "{\"a\":".repeat(100_000));
        fails(RootFs.oci(folder), "index.json cannot be read");

        Files.writeString(folder.resolve("index.json"), " ".repeat((4 << 20) + 1));
        fails(RootFs.oci(folder), "at most 4194304 are read");
    }

    @Test
    void refusesPartsThatAreMissingChangedOrOfAnotherSize() throws Exception {
        byte[] tar = LayoutBuilder.tar(file("a", "text"));
        Path folder = layout.layer(LayoutBuilder.TAR, tar).build();
        Path blob = folder.resolve("blobs/sha256/" + LayoutBuilder.sha256(tar));

        tar[512] ^= 1;
        Files.write(blob, tar);
        fails(RootFs.oci(folder), "hash to " + LayoutBuilder.sha256(tar) + "; copy the image again");

        // Behind the archive's end, where no reader of archives looks.
        tar[512] ^= 1;
        tar[tar.length - 1] ^= 1;
        Files.write(blob, tar);
        fails(RootFs.oci(folder), "hash to");

        Files.write(blob, new byte[3]);
        fails(RootFs.oci(folder), "has 3 bytes where the image announces " + tar.length);

        Files.delete(blob);
        fails(RootFs.oci(folder), "is missing; copy the image with all of its parts");
    }

    @Test
    void refusesArtifactsThatAreNoImages() throws Exception {
        String config = layout.blob("application/vnd.example.config+json", bytes("{}"), "");
        String manifest =
                layout.blob(LayoutBuilder.MANIFEST, bytes("{\"config\":%s,\"layers\":[]}".formatted(config)), "");

        fails(RootFs.oci(layout.index(manifest)), "is no container image: its configuration is of type");
    }

    @Test
    void keepsConvertedImagesForTheNextTime() throws Exception {
        Path cache = temporary.resolve("cache/of/images");
        Path folder = layout.layer(file("a", "text")).build();
        RootFs root = RootFs.oci(folder).cachedIn(cache);
        Path first;
        try (RootImage image = RootImage.open(root)) {
            first = image.file();
            assertThat(first).hasParentRaw(cache);
        }
        assertThat(first).exists();
        Object made = Files.getLastModifiedTime(first);
        // From now on the layers are not needed.
        Files.delete(folder.resolve("blobs/sha256/" + layerDigest(folder)));

        try (RootImage image = RootImage.open(root)) {
            assertThat(image.file()).isEqualTo(first);
            assertThat(Files.getLastModifiedTime(first)).isEqualTo(made);
            assertThat(image.config()).isPresent();
            assertThat(ErofsReader.read(first).at("a").text()).isEqualTo("text");
        }
    }

    private static String layerDigest(Path folder) throws IOException {
        OciLayout layout = new OciLayout(folder);
        return OciImage.read(layout, layout.find(Optional.empty()))
                .layers()
                .getFirst()
                .hex();
    }

    @Test
    void convertsAnewWhatIsDamagedInTheCache() throws Exception {
        Path cache = temporary.resolve("cache");
        RootFs root = RootFs.oci(layout.layer(file("a", "text")).build()).cachedIn(cache);
        Path file;
        try (RootImage image = RootImage.open(root)) {
            file = image.file();
        }
        byte[] good = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(good, good.length - 4096));

        try (RootImage image = RootImage.open(root)) {
            assertThat(image.file()).isEqualTo(file).hasBinaryContent(good);
        }
    }

    @Test
    void leavesNothingInTheCacheAfterAFailure() throws Exception {
        Path cache = temporary.resolve("cache");
        RootFs root = RootFs.oci(layout.layer(file("../a", "text")).build()).cachedIn(cache);

        fails(root, "has '..' in a path");

        try (DirectoryStream<Path> left = Files.newDirectoryStream(cache)) {
            assertThat(left).isEmpty();
        }
    }

    @Test
    void givesTheSameBytesEveryTime() throws Exception {
        Path folder = layout.layer(file("b", "1"), file("a", "2"))
                .layer(file("c/d", "3"))
                .build();

        try (RootImage one = RootImage.open(RootFs.oci(folder));
                RootImage two = RootImage.open(RootFs.oci(folder))) {
            assertThat(Files.mismatch(one.file(), two.file())).isEqualTo(-1);
        }
    }
}
