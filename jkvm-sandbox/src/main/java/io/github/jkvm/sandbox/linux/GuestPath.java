package io.github.jkvm.sandbox.linux;

import java.nio.charset.StandardCharsets;

/** Paths that callers give. */
final class GuestPath {
    /** Linux, include/uapi/linux/limits.h, PATH_MAX, of which one byte is the end. */
    private static final int MOST = 4095;

    private GuestPath() {}

    /**
     * Checks that a path can be one of the guest's.
     *
     * @throws IllegalArgumentException if it is not
     */
    static byte[] check(String path) {
        byte[] bytes = path.getBytes(StandardCharsets.UTF_8);
        if (!path.startsWith("/") || path.indexOf('\0') >= 0 || bytes.length > MOST) {
            throw new IllegalArgumentException(
                    "'" + path + "' is no path in the guest; give an absolute one, of at most " + MOST
                            + " bytes and without zero bytes");
        }
        return bytes;
    }
}
