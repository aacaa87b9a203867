package io.github.jkvm.sandbox.image;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** The digests that images are named by. */
final class Digests {
    private Digests() {}

    /** A new SHA-256, which every Java platform has. */
    static MessageDigest sha256() {
        return of("SHA-256");
    }

    /** A new digest of a name that Java knows. */
    static MessageDigest of(String algorithm) {
        try {
            return MessageDigest.getInstance(algorithm);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("this Java has no " + algorithm, e);
        }
    }
}
