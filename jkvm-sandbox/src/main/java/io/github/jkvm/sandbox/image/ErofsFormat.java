package io.github.jkvm.sandbox.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.SortedMap;
import java.util.zip.CRC32C;

/**
 * Where the numbers of an erofs image are (Linux, fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst), as far as images without compression need
 * them. All numbers are little-endian.
 */
final class ErofsFormat {
    /** Bytes in a block: the page size of the guest, which Linux 6.1 needs. */
    static final int BLOCK = 1 << ErofsFormat.BLOCK_BITS;

    /** Where the superblock is in the image. */
    static final int SUPERBLOCK_OFFSET = 1024;

    /** What a superblock begins with. */
    static final int MAGIC = 0xE0F5_E1E2;

    /** Bytes of an inode, in the long form: it has owners of 32 bits and times of its own. */
    static final int INODE = 64;

    /** What inodes are numbered in: bytes from the begin of the metadata. */
    static final int SLOT = 32;

    /** Bytes of an entry of a folder, without its name. */
    static final int ENTRY = 12;

    /** The most bytes that a name may have. */
    static final int MAX_NAME = 255;

    /** The most blocks that an image may have: their numbers are unsigned 32-bit numbers. */
    static final long MAX_BLOCKS = 0xFFFF_FFFFL;

    private static final int BLOCK_BITS = 12;

    /** The superblock has a checksum, and inodes have the time of the last change of contents. */
    private static final int FEATURE_CHECKSUM_AND_MTIME = 3;

    private static final int CHECKSUM_OFFSET = 4;
    private static final int FORMAT_EXTENDED = 1;
    private static final int FORMAT_FLAT_INLINE = 2 << 1;
    private static final int ATTRIBUTES_HEADER = 12;
    private static final int ATTRIBUTE_HEADER = 4;
    private static final int MAX_ATTRIBUTES = ATTRIBUTES_HEADER + (0xFFFF - 1) * Integer.BYTES;

    /** The name spaces of attributes, and their numbers. */
    private static final Map<String, Integer> NAMESPACES = Map.of(
            "user.", 1,
            "system.posix_acl_access", 2,
            "system.posix_acl_default", 3,
            "trusted.", 4,
            "security.", 6);

    private ErofsFormat() {}

    /** Makes the first block: the superblock, and zeros around it. */
    static ByteBuffer superblock(long rootNid, long inodes, long blocks, long metadataBlock, byte[] uuid) {
        ByteBuffer block = ByteBuffer.allocate(BLOCK).order(ByteOrder.LITTLE_ENDIAN);
        block.position(SUPERBLOCK_OFFSET)
                .putInt(MAGIC)
                .putInt(0)
                .putInt(FEATURE_CHECKSUM_AND_MTIME)
                .put((byte) BLOCK_BITS)
                .put((byte) 0)
                .putShort((short) rootNid)
                .putLong(inodes)
                .putLong(0)
                .putInt(0)
                .putInt((int) blocks)
                .putInt((int) metadataBlock)
                .putInt(0)
                .put(uuid);
        block.putInt(SUPERBLOCK_OFFSET + CHECKSUM_OFFSET, checksum(block));
        return block.clear();
    }

    /** The checksum over the first block from the superblock on, whose own checksum counts as zero: CRC-32C that is not inverted at its end. */
    private static int checksum(ByteBuffer block) {
        ByteBuffer covered = block.duplicate().order(ByteOrder.LITTLE_ENDIAN).clear();
        covered.position(SUPERBLOCK_OFFSET);
        CRC32C crc = new CRC32C();
        crc.update(covered);
        return ~(int) crc.getValue();
    }

    /**
     * Says whether the first block of an image of this project is whole, and its file as long as it says.
     *
     * @param block the first {@link #BLOCK} bytes
     * @param fileSize the size of the file
     */
    static boolean isWhole(ByteBuffer block, long fileSize) {
        ByteBuffer numbers = block.order(ByteOrder.LITTLE_ENDIAN);
        int checksum = numbers.getInt(SUPERBLOCK_OFFSET + CHECKSUM_OFFSET);
        numbers.putInt(SUPERBLOCK_OFFSET + CHECKSUM_OFFSET, 0);
        return numbers.getInt(SUPERBLOCK_OFFSET) == MAGIC
                && checksum == checksum(numbers)
                && Integer.toUnsignedLong(numbers.getInt(SUPERBLOCK_OFFSET + 36)) * BLOCK == fileSize;
    }

    /** How many bytes an inode's attributes take; 0 for none. */
    static int attributesSize(SortedMap<String, byte[]> attributes) {
        int size = ATTRIBUTES_HEADER;
        for (Map.Entry<String, byte[]> attribute : attributes.entrySet()) {
            size += attributeSize(attribute.getKey(), attribute.getValue());
        }
        return size == ATTRIBUTES_HEADER ? 0 : size;
    }

    /**
     * Says how many bytes an attribute takes.
     *
     * @return a number above zero; 0 if the format has no place for attributes of such a name
     */
    static int attributeSize(String name, byte[] value) {
        String namespace = namespace(name);
        int rest = name.length() - namespace.length();
        if (namespace.isEmpty() || rest > MAX_NAME || value.length > 0xFFFF) {
            return 0;
        }
        return Math.ceilDiv(ATTRIBUTE_HEADER + rest + value.length, Integer.BYTES) * Integer.BYTES;
    }

    /** Says whether attributes that take this many bytes fit into one inode. */
    static boolean attributesFit(long size) {
        return size <= MAX_ATTRIBUTES - ATTRIBUTES_HEADER;
    }

    private static String namespace(String name) {
        for (String namespace : NAMESPACES.keySet()) {
            if (namespace.endsWith(".")
                    ? name.startsWith(namespace) && name.length() > namespace.length()
                    : name.equals(namespace)) {
                return namespace;
            }
        }
        return "";
    }

    /**
     * Puts an inode and its attributes.
     *
     * @param number its number for programs that know 32 bits only
     * @param content the block that its contents begin at, or its device number
     * @param inlineTail whether the last part of its contents follows it at once
     */
    static void putInode(ByteBuffer to, Inode inode, int number, int content, boolean inlineTail) {
        Metadata metadata = inode.metadata;
        int attributes = attributesSize(metadata.attributes());
        int count = attributes == 0 ? 0 : (attributes - ATTRIBUTES_HEADER) / Integer.BYTES + 1;
        to.putShort((short) (FORMAT_EXTENDED | (inlineTail ? FORMAT_FLAT_INLINE : 0)))
                .putShort((short) count)
                .putShort((short) (inode.format() | metadata.permissions()))
                .putShort((short) 0)
                .putLong(inode.size())
                .putInt(content)
                .putInt(number)
                .putInt(metadata.user())
                .putInt(metadata.group())
                .putLong(metadata.seconds())
                .putInt(metadata.nanoseconds())
                .putInt(inode.links)
                .putLong(0)
                .putLong(0);
        if (attributes > 0) {
            to.putInt(0).putLong(0);
            metadata.attributes().forEach((name, value) -> putAttribute(to, name, value));
        }
    }

    private static void putAttribute(ByteBuffer to, String name, byte[] value) {
        int size = attributeSize(name, value);
        if (size == 0) {
            return;
        }
        int end = to.position() + size;
        String namespace = namespace(name);
        byte[] rest = bytes(name.substring(namespace.length()));
        to.put((byte) rest.length)
                .put(NAMESPACES.getOrDefault(namespace, 0).byteValue())
                .putShort((short) value.length)
                .put(rest)
                .put(value);
        while (to.position() < end) {
            to.put((byte) 0);
        }
    }

    /** The bytes of a name or of a link's target. */
    static byte[] bytes(String name) {
        return name.getBytes(StandardCharsets.ISO_8859_1);
    }
}
