package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.zip.CRC32C;

/**
 * Reads erofs images in the plainest way there is, and checks what the kernel relies on. Knows nothing of the writer: all of its numbers are from
 * fs/erofs/erofs_fs.h of Linux once more.
 */
final class ErofsReader {
    private static final int BLOCK = 4096;

    private final ByteBuffer image;
    private final long metadata;

    /** A file of the image. The text is a regular file's or a link's; in names, texts and values each char is a byte. */
    record File(
            long nid,
            int mode,
            int user,
            int group,
            long seconds,
            int nanoseconds,
            int links,
            int device,
            String text,
            SortedMap<String, String> attributes,
            SortedMap<String, File> entries) {
        /** A file below this one. */
        File at(String path) {
            File file = this;
            for (String name : path.split("/", -1)) {
                File next = file.entries.get(name);
                if (next == null) {
                    throw new AssertionError("no " + name + " of " + path + " among " + file.entries.keySet());
                }
                file = next;
            }
            return file;
        }
    }

    private ErofsReader(ByteBuffer image) {
        this.image = image.order(ByteOrder.LITTLE_ENDIAN);
        check(image.getInt(1024) == 0xE0F5E1E2, "magic");
        check(image.get(1024 + 12) == 12, "block size");
        check(image.getInt(1024 + 80) == 0, "incompatible features");
        check(Integer.toUnsignedLong(image.getInt(1024 + 36)) * BLOCK == image.limit(), "number of blocks");
        metadata = Integer.toUnsignedLong(image.getInt(1024 + 40)) * BLOCK;
        CRC32C crc = new CRC32C();
        byte[] covered = new byte[BLOCK - 1024];
        image.get(1024, covered);
        covered[4] = covered[5] = covered[6] = covered[7] = 0;
        crc.update(covered);
        check(~(int) crc.getValue() == image.getInt(1024 + 4), "checksum");
    }

    /** Reads an image of up to 2 GiB. */
    static File read(Path file) throws IOException {
        ErofsReader reader = new ErofsReader(ByteBuffer.wrap(Files.readAllBytes(file)));
        int root = Short.toUnsignedInt(reader.image.getShort(1024 + 14));
        // Calls itself for every folder in a folder; some tests have thousands of them.
        FutureTask<File> task = new FutureTask<>(() -> reader.inode(root, root));
        new Thread(null, task, "erofs reader", 256 << 20).start();
        try {
            return task.get();
        } catch (InterruptedException | ExecutionException e) {
            throw new AssertionError("the image is wrong", e);
        }
    }

    private File inode(long nid, long parent) {
        int at = Math.toIntExact(metadata + nid * 32);
        check(nid > 0 && at % 64 == 0, "place of inode " + nid);
        int format = image.getShort(at);
        check((format & ~0xE) == 1, "format of inode " + nid);
        int layout = format >> 1;
        check(layout == 0 || layout == 2, "layout of inode " + nid);
        int count = Short.toUnsignedInt(image.getShort(at + 2));
        int attributesSize = count == 0 ? 0 : 12 + (count - 1) * 4;
        int mode = Short.toUnsignedInt(image.getShort(at + 4));
        int size = Math.toIntExact(image.getLong(at + 8));
        int content = image.getInt(at + 16);
        int type = mode >> 12;
        byte[] contents = new byte[type == 4 || type == 8 || type == 10 ? size : 0];
        if (contents.length > 0) {
            int inline = layout == 2 ? (size - 1) % BLOCK + 1 : 0;
            check(layout == 0 || inline < BLOCK || size % BLOCK != 0, "a tail that is no block");
            int tailAt = at + 64 + attributesSize;
            check(tailAt % BLOCK + inline <= BLOCK, "tail of inode " + nid + " crosses a block");
            image.get(Math.toIntExact(Integer.toUnsignedLong(content) * BLOCK), contents, 0, size - inline);
            image.get(tailAt, contents, size - inline, inline);
        }
        SortedMap<String, File> entries = new TreeMap<>();
        if (type == 4) {
            readFolder(contents, nid, parent, entries);
        }
        return new File(
                nid,
                mode,
                image.getInt(at + 24),
                image.getInt(at + 28),
                image.getLong(at + 32),
                image.getInt(at + 40),
                image.getInt(at + 44),
                type == 4 || type == 8 || type == 10 ? 0 : content,
                type == 4 ? "" : new String(contents, StandardCharsets.ISO_8859_1),
                attributes(at + 64, attributesSize),
                entries);
    }

    private void readFolder(byte[] contents, long nid, long parent, SortedMap<String, File> entries) {
        List<String> names = new ArrayList<>();
        for (int from = 0; from < contents.length; from += BLOCK) {
            ByteBuffer block = ByteBuffer.wrap(contents, from, Math.min(BLOCK, contents.length - from))
                    .slice()
                    .order(ByteOrder.LITTLE_ENDIAN);
            int count = block.getShort(8) / 12;
            check(count > 0 && block.getShort(8) % 12 == 0, "entries of a block of folder " + nid);
            for (int i = 0; i < count; i++) {
                int nameAt = block.getShort(i * 12 + 8);
                int end = i + 1 < count ? block.getShort((i + 1) * 12 + 8) : block.limit();
                byte[] raw = new byte[end - nameAt];
                block.get(nameAt, raw);
                int length = raw.length;
                while (i + 1 == count && length > 0 && raw[length - 1] == 0) {
                    length--;
                }
                String name = new String(raw, 0, length, StandardCharsets.ISO_8859_1);
                check(!name.isEmpty() && name.indexOf(0) < 0, "name in folder " + nid);
                names.add(name);
                long child = block.getLong(i * 12);
                switch (name) {
                    case "." -> check(child == nid, "dot of folder " + nid);
                    case ".." -> check(child == parent, "dots of folder " + nid);
                    default -> {
                        File file = inode(child, nid);
                        check(block.get(i * 12 + 10) == fileType(file.mode >> 12), "type of " + name);
                        entries.put(name, file);
                    }
                }
            }
        }
        check(names.equals(names.stream().sorted().distinct().toList()), "order in folder " + nid);
        check(names.contains(".") && names.contains(".."), "dots of folder " + nid);
    }

    /** Linux, include/linux/fs_types.h. */
    private static int fileType(int format) {
        return switch (format) {
            case 8 -> 1;
            case 4 -> 2;
            case 2 -> 3;
            case 6 -> 4;
            case 1 -> 5;
            case 10 -> 7;
            default -> throw new AssertionError("format " + format);
        };
    }

    private SortedMap<String, String> attributes(int from, int size) {
        SortedMap<String, String> attributes = new TreeMap<>();
        int at = from + 12;
        while (at < from + size) {
            int nameLength = Byte.toUnsignedInt(image.get(at));
            String prefix = switch (image.get(at + 1)) {
                case 1 -> "user.";
                case 2 -> "system.posix_acl_access";
                case 3 -> "system.posix_acl_default";
                case 4 -> "trusted.";
                case 6 -> "security.";
                default -> throw new AssertionError("name space " + image.get(at + 1));
            };
            byte[] value = new byte[Short.toUnsignedInt(image.getShort(at + 2))];
            byte[] name = new byte[nameLength];
            image.get(at + 4, name);
            image.get(at + 4 + nameLength, value);
            attributes.put(
                    prefix + new String(name, StandardCharsets.ISO_8859_1),
                    new String(value, StandardCharsets.ISO_8859_1));
            at += (4 + nameLength + value.length + 3) / 4 * 4;
        }
        check(size == 0 || at == from + size, "size of the attributes");
        return attributes;
    }

    private static void check(boolean good, String what) {
        if (!good) {
            throw new AssertionError("the image is wrong: " + what);
        }
    }
}
