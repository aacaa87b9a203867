package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.Arrays;

/**
 * Writes an erofs image without compression. The contents of files come first, in the order that they are given in and as they come; all inodes follow when the
 * tree is known; the superblock comes last, so that an image that was not finished is none. The same input gives the same bytes. For one thread.
 */
final class ErofsWriter {
    private static final int BUFFER = 64 * ErofsFormat.BLOCK;
    private static final byte[] ZEROS = new byte[ErofsFormat.BLOCK];

    private final FileChannel image;
    private final byte[] buffer = new byte[BUFFER];
    private long nextBlock = 1;

    /**
     * Begins an image.
     *
     * @param image an empty file to write to; not closed here
     */
    ErofsWriter(FileChannel image) {
        this.image = image;
    }

    /**
     * Appends the contents of a regular file, up to their end.
     *
     * @param metadata the file's
     * @param contents read to the end; not closed here
     * @return the file
     * @throws IOException if reading or writing fails, or the image gets too large
     */
    Inode.Regular append(Metadata metadata, InputStream contents) throws IOException {
        long firstBlock = nextBlock;
        long size = 0;
        int length;
        do {
            length = contents.readNBytes(buffer, 0, BUFFER);
            int padded = Math.ceilDiv(length, ErofsFormat.BLOCK) * ErofsFormat.BLOCK;
            Arrays.fill(buffer, length, padded, (byte) 0);
            writeBlocks(padded);
            size += length;
        } while (length == BUFFER);
        return new Inode.Regular(metadata, size, firstBlock);
    }

    /** Writes what the buffer begins with, but leaves holes in the image's file for blocks of zeros. */
    private void writeBlocks(int length) throws IOException {
        int from = 0;
        while (from < length) {
            boolean hole = isZero(from);
            int to = from + ErofsFormat.BLOCK;
            while (to < length && isZero(to) == hole) {
                to += ErofsFormat.BLOCK;
            }
            if (!hole) {
                writeFully(ByteBuffer.wrap(buffer, from, to - from), nextBlock * ErofsFormat.BLOCK);
            }
            takeBlocks((to - from) / ErofsFormat.BLOCK);
            from = to;
        }
    }

    private boolean isZero(int from) {
        return Arrays.equals(buffer, from, from + ErofsFormat.BLOCK, ZEROS, 0, ErofsFormat.BLOCK);
    }

    /** Takes the next blocks; returns the number of the first. */
    long takeBlocks(long count) throws IOException {
        long first = nextBlock;
        if (count > ErofsFormat.MAX_BLOCKS - first) {
            throw new IOException("has more than 16 TiB, the most that an erofs image holds");
        }
        nextBlock += count;
        return first;
    }

    void writeFully(ByteBuffer bytes, long position) throws IOException {
        long at = position;
        while (bytes.hasRemaining()) {
            at += image.write(bytes, at);
        }
    }

    /**
     * Writes the tree and ends the image.
     *
     * @param root the root folder, whose files came from {@link #append}
     * @throws IOException if writing fails, or the image gets too large
     */
    void finish(Inode.Folder root) throws IOException {
        ErofsTree tree = new ErofsTree(root);
        long metadataBlock = takeBlocks(tree.metadataBlocks());
        byte[] uuid = tree.write(this, metadataBlock);
        writeFully(ErofsFormat.superblock(root.nid, tree.inodes(), nextBlock, metadataBlock, uuid), 0);
    }
}
