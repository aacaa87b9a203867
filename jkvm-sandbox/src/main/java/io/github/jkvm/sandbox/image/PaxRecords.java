package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** The records of an extended header: "LENGTH KEY=VALUE\n", where the length counts all of it (POSIX.1-2017, pax, "pax Extended Header"). */
final class PaxRecords {
    private PaxRecords() {}

    /**
     * Reads records.
     *
     * @param bytes all of them
     * @param into gets the values by their keys; each char is a byte. An empty value takes back one from before
     * @throws IOException if one is malformed
     */
    static void parse(byte[] bytes, Map<String, String> into) throws IOException {
        int at = 0;
        while (at < bytes.length) {
            int space = find(bytes, (byte) ' ', at, Math.min(bytes.length, at + 10));
            int length = length(bytes, at, space);
            if (length > bytes.length - at || length < space - at + 3 || bytes[at + length - 1] != '\n') {
                throw malformed(at);
            }
            int end = at + length - 1;
            int equals = find(bytes, (byte) '=', space + 1, end);
            String key = text(bytes, space + 1, equals);
            String value = text(bytes, equals + 1, end);
            // Attributes are bytes of any kind, names are not.
            if (key.isEmpty() || (value.indexOf(0) >= 0 && !key.startsWith("SCHILY.xattr."))) {
                throw malformed(at);
            }
            into.put(key, value);
            at += length;
        }
    }

    private static int find(byte[] bytes, byte wanted, int from, int to) throws IOException {
        for (int i = from; i < to; i++) {
            if (bytes[i] == wanted) {
                return i;
            }
        }
        throw malformed(from);
    }

    private static int length(byte[] bytes, int from, int to) throws IOException {
        int length = 0;
        for (int i = from; i < to; i++) {
            int digit = bytes[i] - '0';
            if (digit < 0 || digit > 9) {
                throw malformed(from);
            }
            length = length * 10 + digit;
        }
        return length;
    }

    private static String text(byte[] bytes, int from, int to) {
        return new String(bytes, from, to - from, StandardCharsets.ISO_8859_1);
    }

    private static IOException malformed(int at) {
        return new IOException("an extended header has a malformed record at its byte " + at);
    }
}
