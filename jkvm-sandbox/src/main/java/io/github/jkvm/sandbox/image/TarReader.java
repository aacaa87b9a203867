package io.github.jkvm.sandbox.image;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Reads tar archives of people who may mean harm: POSIX ustar and pax (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"), and the long
 * names and numbers of GNU tar. Takes memory for one header at a time, which is bounded, and keeps the bytes of names as they are; readers of archives in
 * general do neither. For one thread.
 */
final class TarReader {
    private static final int RECORD = 512;

    /** How long an extended header, or a long name, may be. */
    private static final int MAX_EXTENSION = 1 << 20;

    private static final String ATTRIBUTE_KEY = "SCHILY.xattr.";

    private final InputStream in;
    private final byte[] header = new byte[RECORD];
    private final Map<String, String> global = new HashMap<>();
    private final Body body = new Body();

    TarReader(InputStream in) {
        this.in = in;
    }

    /**
     * Goes to the next entry, behind the contents of this one.
     *
     * @return the entry, or null at the archive's end
     * @throws IOException if the archive is malformed or cut off
     */
    @Nullable
    TarEntry next() throws IOException {
        Map<String, String> extension = new HashMap<>();
        while (true) {
            body.finish();
            if (!readHeader()) {
                return null;
            }
            char type = (char) header[156];
            long size = TarNumbers.parse(header, 124, 12);
            switch (type) {
                case 'x' -> PaxRecords.parse(readExtension(size), extension);
                case 'g' -> PaxRecords.parse(readExtension(size), global);
                case 'L' -> extension.put("path", cString(readExtension(size)));
                case 'K' -> extension.put("linkpath", cString(readExtension(size)));
                // A volume's label: GNU tar, "Format Variations".
                case 'V' -> body.begin(size);
                default -> {
                    Map<String, String> values = new HashMap<>(global);
                    values.putAll(extension);
                    values.values().removeIf(String::isEmpty);
                    return entry(type, values);
                }
            }
        }
    }

    /** The contents of the entry that was returned last. */
    InputStream body() {
        return body;
    }

    /** Returns false at the end: a record of zeros, or none. */
    private boolean readHeader() throws IOException {
        int length = in.readNBytes(header, 0, RECORD);
        if (length == 0) {
            return false;
        }
        if (length < RECORD) {
            throw new EOFException("the archive ends within a header");
        }
        int unsigned = 0;
        int signed = 0;
        boolean zeros = true;
        for (int i = 0; i < RECORD; i++) {
            byte value = i >= 148 && i < 156 ? (byte) ' ' : header[i];
            unsigned += Byte.toUnsignedInt(value);
            signed += value;
            zeros &= header[i] == 0;
        }
        if (zeros) {
            return false;
        }
        long checksum = TarNumbers.parse(header, 148, 8);
        // Some old programs added up signed bytes.
        if (checksum != unsigned && checksum != signed) {
            throw new IOException("a header's checksum is wrong; this is no tar archive, or a damaged one");
        }
        return true;
    }

    private byte[] readExtension(long size) throws IOException {
        if (size < 0 || size > MAX_EXTENSION) {
            throw new IOException("an extended header has " + size + " bytes; at most " + MAX_EXTENSION + " are read");
        }
        body.begin(size);
        return body.readNBytes((int) size);
    }

    private TarEntry entry(char flag, Map<String, String> values) throws IOException {
        String path = values.getOrDefault("path", headerPath());
        for (String key : values.keySet()) {
            if (key.startsWith("GNU.sparse.")) {
                throw sparse(path);
            }
        }
        char type = switch (flag) {
            case '\0', '7' -> '0';
            case '0', '1', '2', '3', '4', '5', '6' -> flag;
            case 'S' -> throw sparse(path);
            default ->
                throw new IOException("entry " + Descriptor.shown(path) + " is of the unknown type '"
                        + Descriptor.shown(String.valueOf(flag)) + "'");
        };
        if (type == '0' && path.endsWith("/")) {
            // Archives from before there was a type for folders.
            type = '5';
        }
        long size = type == '0' ? number(values, "size", 124, 12) : 0;
        if (size < 0) {
            throw new IOException("entry " + Descriptor.shown(path) + " has a size of " + size + " bytes");
        }
        body.begin(size);
        int device = type == '3' || type == '4'
                ? Inode.Special.device(TarNumbers.parse(header, 329, 8), TarNumbers.parse(header, 337, 8))
                : 0;
        String target = type == '1' || type == '2' ? values.getOrDefault("linkpath", field(157, 100)) : "";
        return new TarEntry(path, type, metadata(path, values), target, size, device);
    }

    private static IOException sparse(String path) {
        return new IOException("entry " + Descriptor.shown(path)
                + " is a sparse file in a format of GNU tar; images should have none (OCI image-spec 1.1, layer.md)");
    }

    private Metadata metadata(String path, Map<String, String> values) throws IOException {
        String time = values.get("mtime");
        TarNumbers.Time modified =
                time == null ? new TarNumbers.Time(TarNumbers.parse(header, 136, 12), 0) : TarNumbers.parseTime(time);
        return new Metadata(
                (int) (TarNumbers.parse(header, 100, 8) & Metadata.PERMISSIONS),
                owner(path, number(values, "uid", 108, 8)),
                owner(path, number(values, "gid", 116, 8)),
                modified.seconds(),
                modified.nanoseconds(),
                attributes(path, values));
    }

    private static int owner(String path, long number) throws IOException {
        if (number < 0 || number > 0xFFFF_FFFFL) {
            throw new IOException("entry " + Descriptor.shown(path) + " has the owner " + number
                    + "; Linux has them from 0 to 4294967295");
        }
        return (int) number;
    }

    private static SortedMap<String, byte[]> attributes(String path, Map<String, String> values) throws IOException {
        SortedMap<String, byte[]> attributes = new TreeMap<>();
        long size = 0;
        for (Map.Entry<String, String> value : values.entrySet()) {
            if (value.getKey().startsWith(ATTRIBUTE_KEY)) {
                String name = value.getKey().substring(ATTRIBUTE_KEY.length());
                byte[] bytes = ErofsFormat.bytes(value.getValue());
                int needed = ErofsFormat.attributeSize(name, bytes);
                if (needed > 0) {
                    attributes.put(name, bytes);
                    size += needed;
                }
            }
        }
        if (!ErofsFormat.attributesFit(size)) {
            throw new IOException("entry " + Descriptor.shown(path) + " has " + size + " bytes of extended attributes");
        }
        return attributes.isEmpty() ? Metadata.none() : attributes;
    }

    private long number(Map<String, String> values, String key, int offset, int length) throws IOException {
        String text = values.get(key);
        return text == null ? TarNumbers.parse(header, offset, length) : TarNumbers.parseDecimal(key, text);
    }

    private String headerPath() {
        String name = field(0, 100);
        // GNU tar's own format ends its magic in a space, and has other things where the prefix is.
        boolean posix = header[262] == 0 && field(257, 5).equals("ustar");
        String prefix = posix ? field(345, 155) : "";
        return prefix.isEmpty() ? name : prefix + "/" + name;
    }

    private String field(int offset, int length) {
        int end = offset;
        while (end < offset + length && header[end] != 0) {
            end++;
        }
        return new String(header, offset, end - offset, StandardCharsets.ISO_8859_1);
    }

    private static String cString(byte[] bytes) {
        int end = 0;
        while (end < bytes.length && bytes[end] != 0) {
            end++;
        }
        return new String(bytes, 0, end, StandardCharsets.ISO_8859_1);
    }

    /** What follows a header: as many bytes as it says, up to the next record. */
    private final class Body extends InputStream {
        private long left;
        private int padding;

        void begin(long size) throws IOException {
            if (size < 0) {
                throw new IOException("an entry has a size of " + size + " bytes");
            }
            left = size;
            padding = (int) (-size & (RECORD - 1));
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
        }

        @Override
        public int read(byte[] bytes, int from, int length) throws IOException {
            if (left == 0) {
                return length == 0 ? 0 : -1;
            }
            int count = in.read(bytes, from, (int) Math.min(length, left));
            if (count < 0) {
                throw new EOFException("the archive ends " + left + " bytes before an entry does");
            }
            left -= count;
            return count;
        }

        void finish() throws IOException {
            byte[] skipped = new byte[RECORD << 4];
            while (read(skipped) >= 0) {
                // Nobody wanted the rest.
            }
            if (in.readNBytes(padding).length < padding) {
                throw new EOFException("the archive ends within the padding of an entry");
            }
            padding = 0;
        }
    }
}
