package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.List;

/** Tells what a file holds by the numbers at its begin. */
final class FileSystemType {
    private static final int HEAD = 0x1_0048;

    /** A number that a format has at a fixed place. */
    private record Magic(String name, int offset, ByteBuffer bytes) {
        static Magic of(String name, int offset, String hex) {
            return new Magic(name, offset, ByteBuffer.wrap(HexFormat.of().parseHex(hex)));
        }

        boolean isIn(ByteBuffer head) {
            int length = bytes.remaining();
            return head.limit() >= offset + length && head.slice(offset, length).equals(bytes);
        }
    }

    /** The file systems that guests mount as roots; their names are the kernel's. */
    private static final List<Magic> ROOTS = List.of(
            // Linux, fs/ext4/ext4.h: s_magic at 0x38 of the superblock, which is at 1024.
            Magic.of("ext4", 0x438, "53ef"),
            // Linux, fs/squashfs/squashfs_fs.h: SQUASHFS_MAGIC, at the begin.
            Magic.of("squashfs", 0, "68737173"),
            Magic.of("erofs", ErofsFormat.SUPERBLOCK_OFFSET, "e2e1f5e0"));

    /** What people give by mistake, and what to do about it. */
    private static final List<Magic> OTHERS = List.of(
            Magic.of("a gzip file; unpack it first", 0, "1f8b"),
            Magic.of("an xz file; unpack it first", 0, "fd377a585a00"),
            Magic.of("a zstd file; unpack it first", 0, "28b52ffd"),
            Magic.of("a qcow2 disk; convert it with qemu-img convert -O raw", 0, "514649fb"),
            Magic.of("an xfs file system", 0, "58465342"),
            Magic.of("a btrfs file system", 0x1_0040, "5f42485266535f4d"),
            Magic.of("a tar archive; unpack it and give the folder", 257, "7573746172"),
            Magic.of("a disk with a GPT; give the partition's contents", 512, "4546492050415254"),
            Magic.of("a disk with an MBR; give the partition's contents", 510, "55aa"));

    private FileSystemType() {}

    /**
     * Tells the kernel's name of the file system that a file holds.
     *
     * @param file the file
     * @return {@code ext4}, {@code squashfs} or {@code erofs}
     * @throws IOException if it cannot be read, or holds something else
     */
    static String of(Path file) throws IOException {
        if (Files.isDirectory(file)) {
            throw new IOException("it is a folder; give it to RootFs.folder or RootFs.oci");
        }
        ByteBuffer head = ByteBuffer.allocate(HEAD);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            while (head.hasRemaining() && channel.read(head) >= 0) {
                // Reads on: a channel may give less than there is.
            }
        }
        head.flip();
        for (Magic root : ROOTS) {
            if (root.isIn(head)) {
                return root.name;
            }
        }
        throw new IOException("it holds no ext4, squashfs or erofs: " + describe(head));
    }

    private static String describe(ByteBuffer head) {
        if (!head.hasRemaining()) {
            return "it is empty";
        }
        for (Magic other : OTHERS) {
            if (other.isIn(head)) {
                return "it looks like " + other.name;
            }
        }
        byte[] first = new byte[Math.min(head.limit(), 16)];
        head.get(0, first);
        return "it begins with " + HexFormat.ofDelimiter(" ").formatHex(first);
    }
}
