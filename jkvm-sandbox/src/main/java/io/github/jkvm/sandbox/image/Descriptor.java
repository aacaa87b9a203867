package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.security.MessageDigest;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What an image says of one of its parts (OCI image-spec 1.1, descriptor.md).
 *
 * @param mediaType what kind of part it is
 * @param digest what its bytes hash to, as {@code sha256:} or {@code sha512:} and lowercase hexadecimal digits
 * @param size how many bytes it has
 * @param platform what it runs on, as {@code os/architecture}; empty if that is not said
 * @param names what its annotations call it
 */
record Descriptor(String mediaType, String digest, long size, String platform, Set<String> names) {
    private static final Pattern DIGEST = Pattern.compile("sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}");

    /** Names that the specification, and containerd's and Docker's exports, give to images in an index. */
    private static final Set<String> NAME_ANNOTATIONS =
            Set.of("org.opencontainers.image.ref.name", "io.containerd.image.name");

    /**
     * Reads a descriptor.
     *
     * @param json the object
     * @param of whose it is, for messages
     * @throws IOException if its digest or size cannot be
     */
    static Descriptor of(Json json, String of) throws IOException {
        String digest = json.string("digest");
        if (!DIGEST.matcher(digest).matches()) {
            throw new IOException(of + " names a part by the digest '" + shown(digest)
                    + "'; known are sha256: and sha512: with lowercase hexadecimal digits");
        }
        long size = json.number("size");
        if (size < 0) {
            throw new IOException(of + " does not say how many bytes " + digest + " has");
        }
        String platform = json.object("platform")
                .map(on -> on.string("os") + "/" + on.string("architecture"))
                .orElse("");
        Set<String> names = json.object("annotations")
                .map(annotations -> annotations.members().keySet().stream()
                        .filter(NAME_ANNOTATIONS::contains)
                        .map(annotations::string)
                        .collect(Collectors.toUnmodifiableSet()))
                .orElse(Set.of());
        return new Descriptor(json.string("mediaType"), digest, size, platform, names);
    }

    /** The folder of {@code blobs} that it is in. */
    String algorithm() {
        return digest.substring(0, digest.indexOf(':'));
    }

    /** The name of its file there. */
    String hex() {
        return digest.substring(digest.indexOf(':') + 1);
    }

    /** A digest to compute over its bytes. */
    MessageDigest newDigest() {
        return Digests.of(algorithm().equals("sha512") ? "SHA-512" : "SHA-256");
    }

    /** Text of an image for a message: not too long, and no control characters for terminals. */
    static String shown(String text) {
        String start = text.length() > 200 ? text.substring(0, 200) + "..." : text;
        return start.replaceAll("\\p{Cntrl}", "?");
    }
}
