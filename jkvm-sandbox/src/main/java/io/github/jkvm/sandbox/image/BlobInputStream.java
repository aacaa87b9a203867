package io.github.jkvm.sandbox.image;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;

/**
 * The bytes of a part of an image. Reading its end fails unless there were as many bytes as announced, and they hash to the digest; so what was made of them
 * counts only after {@link #readToEnd()}.
 */
final class BlobInputStream extends InputStream {
    private static final int SKIP_BUFFER = 1 << 16;

    private final Descriptor descriptor;
    private final InputStream file;
    private final MessageDigest digest;
    private long left;
    private boolean verified;

    /**
     * Opens a part.
     *
     * @param path where it is
     * @param descriptor what it must be
     * @throws IOException if it is missing, or not of the size
     */
    BlobInputStream(Path path, Descriptor descriptor) throws IOException {
        this.descriptor = descriptor;
        if (!Files.isRegularFile(path)) {
            throw new IOException(path + " is missing; copy the image with all of its parts");
        }
        long size = Files.size(path);
        if (size != descriptor.size()) {
            throw new IOException(path + " has " + size + " bytes where the image announces " + descriptor.size()
                    + "; copy the image again");
        }
        left = size;
        digest = descriptor.newDigest();
        file = Files.newInputStream(path);
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] bytes, int from, int length) throws IOException {
        if (left == 0) {
            verify();
            return length == 0 ? 0 : -1;
        }
        int read = file.read(bytes, from, (int) Math.min(length, left));
        if (read < 0) {
            throw new EOFException(descriptor.digest() + " ends " + left + " bytes early");
        }
        digest.update(bytes, from, read);
        left -= read;
        return read;
    }

    /** How many bytes are left: readers of gzip look here for another member. */
    @Override
    public int available() {
        return (int) Math.min(left, Integer.MAX_VALUE);
    }

    /** Reads what is left, and checks it all. */
    void readToEnd() throws IOException {
        byte[] skipped = new byte[SKIP_BUFFER];
        while (read(skipped) >= 0) {
            // The digest is over all of it.
        }
    }

    private void verify() throws IOException {
        if (verified) {
            return;
        }
        String found = HexFormat.of().formatHex(digest.digest());
        if (!found.equals(descriptor.hex())) {
            throw new IOException(
                    "the bytes of " + descriptor.digest() + " hash to " + found + "; copy the image again");
        }
        verified = true;
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
