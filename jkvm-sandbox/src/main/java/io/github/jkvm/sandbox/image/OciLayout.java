package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** A folder in OCI image layout (image-spec 1.1, image-layout.md and image-index.md). Nothing in it is trusted. */
final class OciLayout {
    /** How many bytes a description may have: what registries take at least, and usually at most (distribution-spec 1.1, "Pushing manifests"). */
    private static final int MAX_DESCRIPTION = 4 << 20;

    /** How many indexes are looked into: each may name many more. */
    private static final int MAX_INDEXES = 64;

    private static final String PLATFORM = "linux/amd64";
    private static final Set<String> INDEXES = Set.of(
            "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json");
    private static final Set<String> MANIFESTS = Set.of(
            "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json");

    private final Path folder;
    private int indexesRead;

    /**
     * Opens a layout.
     *
     * @throws IOException if the folder holds none, or one of another version
     */
    OciLayout(Path folder) throws IOException {
        this.folder = folder;
        Path marker = folder.resolve("oci-layout");
        if (!Files.isRegularFile(marker)) {
            throw new IOException("has no file oci-layout; make one with skopeo copy docker://IMAGE oci:" + folder);
        }
        String version = parse(readLimited(marker), "oci-layout").string("imageLayoutVersion");
        if (!version.startsWith("1.")) {
            throw new IOException("oci-layout has version '" + Descriptor.shown(version) + "'; known is 1.0.0");
        }
    }

    /**
     * Finds the manifest of an image.
     *
     * @param reference its name or digest; empty if there is only one
     * @throws IOException if there is none for this platform, or no name tells which of many
     */
    Descriptor find(Optional<String> reference) throws IOException {
        List<Descriptor> all = manifests(parse(readLimited(folder.resolve("index.json")), "index.json"), "index.json");
        Set<String> names = new TreeSet<>();
        Set<String> platforms = new TreeSet<>();
        Map<String, Descriptor> found = new LinkedHashMap<>();
        for (Descriptor candidate : all) {
            names.addAll(candidate.names());
            if (reference.isEmpty()
                    || candidate.names().contains(reference.get())
                    || candidate.digest().equals(reference.get())) {
                resolve(candidate, platforms).ifPresent(manifest -> found.put(manifest.digest(), manifest));
            }
        }
        if (found.size() == 1) {
            return found.values().iterator().next();
        }
        String known = names.isEmpty() ? "by digest only" : Descriptor.shown(String.join(", ", names));
        if (!platforms.isEmpty()) {
            throw new IOException(
                    "has no image for " + PLATFORM + " but for " + Descriptor.shown(String.join(", ", platforms)));
        }
        if (found.isEmpty()) {
            throw new IOException(
                    "has no image" + reference.map(name -> " " + name).orElse("") + "; known: " + known);
        }
        throw new IOException(
                "has " + found.size() + " images; say which with RootFs.oci(layout, reference), known: " + known);
    }

    /** Follows indexes to the first manifest for this platform. Notes the others' platforms. */
    private Optional<Descriptor> resolve(Descriptor candidate, Set<String> platforms) throws IOException {
        if (!candidate.platform().isEmpty() && !candidate.platform().equals(PLATFORM)) {
            platforms.add(candidate.platform());
            return Optional.empty();
        }
        if (MANIFESTS.contains(candidate.mediaType())) {
            return Optional.of(candidate);
        }
        if (!INDEXES.contains(candidate.mediaType())) {
            return Optional.empty();
        }
        if (++indexesRead > MAX_INDEXES) {
            throw new IOException("has more than " + MAX_INDEXES + " indexes inside of index.json");
        }
        for (Descriptor inner : manifests(describe(candidate), candidate.digest())) {
            Optional<Descriptor> manifest = resolve(inner, platforms);
            if (manifest.isPresent()) {
                platforms.clear();
                return manifest;
            }
        }
        return Optional.empty();
    }

    private static List<Descriptor> manifests(Json index, String name) throws IOException {
        List<Json> objects = index.objects("manifests");
        Descriptor[] manifests = new Descriptor[objects.size()];
        for (int i = 0; i < manifests.length; i++) {
            manifests[i] = Descriptor.of(objects.get(i), name);
        }
        return List.of(manifests);
    }

    /** Reads a part that describes others. */
    Json describe(Descriptor descriptor) throws IOException {
        if (descriptor.size() > MAX_DESCRIPTION) {
            throw tooLong(descriptor.digest(), descriptor.size());
        }
        try (BlobInputStream blob = open(descriptor)) {
            byte[] bytes = blob.readNBytes((int) descriptor.size());
            blob.readToEnd();
            return parse(bytes, descriptor.digest());
        }
    }

    /** Opens a part. */
    BlobInputStream open(Descriptor descriptor) throws IOException {
        Path blob = folder.resolve("blobs").resolve(descriptor.algorithm()).resolve(descriptor.hex());
        return new BlobInputStream(blob, descriptor);
    }

    private static byte[] readLimited(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new IOException(file + " is no file");
        }
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(MAX_DESCRIPTION + 1);
            if (bytes.length > MAX_DESCRIPTION) {
                throw tooLong(file.toString(), Files.size(file));
            }
            return bytes;
        }
    }

    private static IOException tooLong(String name, long size) {
        return new IOException(name + " has " + size + " bytes; at most " + MAX_DESCRIPTION + " are read");
    }

    private static Json parse(byte[] bytes, String name) throws IOException {
        try {
            return Json.parse(bytes);
        } catch (IOException e) {
            throw new IOException(name + " cannot be read: " + Descriptor.shown(String.valueOf(e.getMessage())), e);
        }
    }
}
