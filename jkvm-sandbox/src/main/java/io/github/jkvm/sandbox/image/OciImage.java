package io.github.jkvm.sandbox.image;

import io.github.jkvm.machine.boot.unpack.ZstdInputStream;
import io.github.jkvm.sandbox.ImageConfig;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPInputStream;

/**
 * A container image: its configuration, and its layers from the lowest to the highest (OCI image-spec 1.1, manifest.md).
 *
 * @param layout where its parts are
 * @param digest its manifest's
 * @param config how it wants to be run
 * @param layers its layers
 */
record OciImage(OciLayout layout, String digest, ImageConfig config, List<Descriptor> layers) {
    private static final int BUFFER = 1 << 16;
    /** What zstd unpacks without being asked for more (zstd 1.5, ZSTD_WINDOWLOG_LIMIT_DEFAULT): 128 MiB. */
    private static final int MAX_ZSTD_WINDOW = 1 << 27;

    private static final Set<String> CONFIGS =
            Set.of("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json");

    /**
     * Reads a manifest and the configuration that it names.
     *
     * @throws IOException if they are wrong, or the image is for another platform
     */
    static OciImage read(OciLayout layout, Descriptor descriptor) throws IOException {
        String name = descriptor.digest();
        Json manifest = layout.describe(descriptor);
        Json configJson =
                manifest.object("config").orElseThrow(() -> new IOException(name + " names no configuration"));
        Descriptor configDescriptor = Descriptor.of(configJson, name);
        if (!CONFIGS.contains(configDescriptor.mediaType())) {
            throw new IOException(name + " is no container image: its configuration is of type '"
                    + Descriptor.shown(configDescriptor.mediaType()) + "'");
        }
        Json config = layout.describe(configDescriptor);
        String platform = config.string("os") + "/" + config.string("architecture");
        if (!platform.equals("linux/amd64")) {
            throw new IOException(name + " is for " + Descriptor.shown(platform) + ", not for linux/amd64");
        }
        List<Descriptor> layers = new ArrayList<>();
        for (Json layer : manifest.objects("layers")) {
            layers.add(Descriptor.of(layer, name));
        }
        return new OciImage(
                layout,
                name,
                config.object("config").map(OciImage::config).orElse(config(new Json(Map.of()))),
                List.copyOf(layers));
    }

    private static ImageConfig config(Json config) {
        Map<String, String> environment = new LinkedHashMap<>();
        for (String variable : config.strings("Env")) {
            int equals = variable.indexOf('=');
            if (equals > 0) {
                environment.put(variable.substring(0, equals), variable.substring(equals + 1));
            }
        }
        return new ImageConfig(
                environment,
                config.string("WorkingDir"),
                config.strings("Entrypoint"),
                config.strings("Cmd"),
                config.string("User"));
    }

    /**
     * Puts the layers together.
     *
     * @param writer takes the contents of files
     * @param budget what is counted by
     * @return the root folder
     * @throws IOException if a layer is wrong, or there is more than the limits
     */
    Inode.Folder unpack(ErofsWriter writer, Budget budget) throws IOException {
        LayerTree tree = new LayerTree(writer, budget);
        for (Descriptor layer : layers) {
            try (BlobInputStream blob = layout.open(layer)) {
                tree.add(new CountedInputStream(unpacked(blob, layer), budget));
                blob.readToEnd();
            } catch (IOException e) {
                throw new IOException("layer " + layer.digest() + ": " + e.getMessage(), e);
            }
        }
        return tree.root();
    }

    /** Layers are tar archives, mostly packed (image-spec 1.1, layer.md; the names of Docker's end in .gzip). */
    private static InputStream unpacked(InputStream blob, Descriptor layer) throws IOException {
        String type = layer.mediaType();
        if (type.endsWith(".tar")) {
            return new BufferedInputStream(blob, BUFFER);
        } else if (type.endsWith(".tar+gzip") || type.endsWith(".tar.gzip")) {
            return new GZIPInputStream(blob, BUFFER);
        } else if (type.endsWith(".tar+zstd")) {
            return new ZstdInputStream(new BufferedInputStream(blob, BUFFER), MAX_ZSTD_WINDOW);
        }
        throw new IOException("is of type '" + Descriptor.shown(type)
                + "'; known are tar, tar+gzip and tar+zstd; copy it with skopeo copy --dest-compress-format gzip");
    }
}
