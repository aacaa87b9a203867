package io.github.jkvm.sandbox.image;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;

/** Makes folders in OCI image layout, good ones and bad ones, part by part. */
final class LayoutBuilder {
    static final String MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    static final String INDEX = "application/vnd.oci.image.index.v1+json";
    static final String CONFIG = "application/vnd.oci.image.config.v1+json";
    static final String TAR = "application/vnd.oci.image.layer.v1.tar";
    static final String GZIP = TAR + "+gzip";

    private final Path folder;
    private final List<String> layers = new ArrayList<>();
    private String config = "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{}}";

    LayoutBuilder(Path folder) throws IOException {
        this.folder = folder;
        Files.createDirectories(folder.resolve("blobs/sha256"));
        Files.writeString(folder.resolve("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
    }

    /** What is said about a part: the JSON of its descriptor, with more members if given. */
    static String descriptor(String mediaType, String digest, long size, String more) {
        return "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d%s}".formatted(mediaType, digest, size, more);
    }

    /** Writes a part and returns its descriptor. */
    String blob(String mediaType, byte[] bytes, String more) throws IOException {
        String hex = sha256(bytes);
        Files.write(folder.resolve("blobs/sha256/" + hex), bytes);
        return descriptor(mediaType, "sha256:" + hex, bytes.length, more);
    }

    static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }

    LayoutBuilder config(String json) {
        config = json;
        return this;
    }

    LayoutBuilder layer(String mediaType, byte[] bytes) throws IOException {
        layers.add(blob(mediaType, bytes, ""));
        return this;
    }

    LayoutBuilder layer(Entry... entries) throws IOException {
        return layer(GZIP, gzip(tar(entries)));
    }

    /** Writes the manifest of what was said so far; returns its descriptor. */
    String manifest(String more) throws IOException {
        String descriptor = blob(CONFIG, bytes(config), "");
        return blob(
                MANIFEST,
                bytes("{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}"
                        .formatted(descriptor, String.join(",", layers))),
                more);
    }

    /** Writes the index and returns the folder. */
    Path index(String... manifests) throws IOException {
        Files.writeString(folder.resolve("index.json"), indexOf(manifests));
        return folder;
    }

    static String indexOf(String... manifests) {
        return "{\"schemaVersion\":2,\"manifests\":[%s]}".formatted(String.join(",", manifests));
    }

    static String named(String name) {
        return ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}".formatted(name);
    }

    static String on(String os, String architecture) {
        return ",\"platform\":{\"os\":\"%s\",\"architecture\":\"%s\"}".formatted(os, architecture);
    }

    /** The only image of its layout. */
    Path build() throws IOException {
        return index(manifest(""));
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** An entry of an archive to write. */
    interface Entry {
        void put(TarArchiveOutputStream to) throws IOException;
    }

    static Entry entry(String path, char type, int mode, String target) {
        return to -> {
            TarArchiveEntry entry = new TarArchiveEntry(path, (byte) type, true);
            entry.setMode(mode);
            entry.setIds(0, 0);
            entry.setModTime(0);
            entry.setLinkName(target);
            to.putArchiveEntry(entry);
            to.closeArchiveEntry();
        };
    }

    static Entry folder(String path, int mode) {
        return entry(path, '5', mode, "");
    }

    static Entry symlink(String path, String target) {
        return entry(path, '2', 0777, target);
    }

    static Entry link(String path, String target) {
        return entry(path, '1', 0644, target);
    }

    static Entry file(String path, String text) {
        return to -> {
            byte[] contents = bytes(text);
            TarArchiveEntry entry = new TarArchiveEntry(path, (byte) '0', true);
            entry.setSize(contents.length);
            entry.setMode(0644);
            entry.setIds(0, 0);
            entry.setModTime(0);
            to.putArchiveEntry(entry);
            to.write(contents);
            to.closeArchiveEntry();
        };
    }

    static byte[] tar(Entry... entries) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes, "UTF-8")) {
            tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_POSIX);
            tar.setBigNumberMode(TarArchiveOutputStream.BIGNUMBER_POSIX);
            tar.setAddPaxHeadersForNonAsciiNames(true);
            for (Entry entry : entries) {
                entry.put(tar);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (OutputStream gzip = new GZIPOutputStream(packed)) {
            gzip.write(bytes);
        }
        return packed.toByteArray();
    }
}
