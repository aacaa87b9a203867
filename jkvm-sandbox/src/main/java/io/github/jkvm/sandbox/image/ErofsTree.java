package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;

/**
 * The metadata of an image: gives each inode its place, and then writes them all. What is known of folders and links in full is put behind their inodes, as far
 * as it does not cross the border of a block.
 */
final class ErofsTree {
    private static final int BUFFER = 64 * ErofsFormat.BLOCK;

    /** The first slots stay empty: number 0 would make the root's entries ones that programs skip. */
    private static final int FIRST = ErofsFormat.INODE;

    private final List<Inode> order = new ArrayList<>();
    private final long size;

    /** Gives all that can be reached from the root its place. */
    ErofsTree(Inode.Folder root) {
        collect(root);
        long at = FIRST;
        for (Inode inode : order) {
            if (inode instanceof Inode.Folder folder) {
                folder.size = new FolderBlocks(folder).size();
            }
            at = place(inode, at);
        }
        // fsck.erofs looks for attributes behind every inode, whether it has some or not; so the last one does not end
        // the image.
        size = Math.ceilDiv(at + ErofsFormat.SLOT, ErofsFormat.BLOCK) * ErofsFormat.BLOCK;
    }

    /** Lists the inodes, each once, a folder before what it holds, and counts their names. Not by recursion: nothing says how deep folders are. */
    private void collect(Inode.Folder root) {
        record Open(Inode.Folder folder, Iterator<Inode> rest) {}
        Deque<Open> path = new ArrayDeque<>();
        visit(root);
        root.links = 2;
        path.push(new Open(root, root.entries.values().iterator()));
        while (!path.isEmpty()) {
            Open open = path.element();
            if (!open.rest.hasNext()) {
                path.pop();
                continue;
            }
            Inode inode = open.rest.next();
            if (inode instanceof Inode.Folder folder) {
                visit(folder);
                folder.links = 2;
                open.folder.links++;
                path.push(new Open(folder, folder.entries.values().iterator()));
            } else {
                if (inode.links++ == 0) {
                    visit(inode);
                }
            }
        }
    }

    private void visit(Inode inode) {
        order.add(inode);
    }

    /** Places an inode at an offset or a little later. Returns where the next may be. */
    private static long place(Inode inode, long from) {
        int head = headSize(inode);
        int tail = tailSize(inode);
        long at = from;
        if (crosses(at + head, tail)) {
            // Begins a block anew, so that the tail does not cross its end.
            at = Math.ceilDiv(from, ErofsFormat.BLOCK) * ErofsFormat.BLOCK;
        }
        inode.nid = at / ErofsFormat.SLOT;
        long end = at + head + (hasInlineTail(inode) ? tail : 0);
        return Math.ceilDiv(end, ErofsFormat.INODE) * ErofsFormat.INODE;
    }

    private static int headSize(Inode inode) {
        return ErofsFormat.INODE + ErofsFormat.attributesSize(inode.metadata.attributes());
    }

    /** How many bytes of the contents are left over from full blocks, and known here. */
    private static int tailSize(Inode inode) {
        return switch (inode) {
            case Inode.Folder folder -> (int) (folder.size % ErofsFormat.BLOCK);
            case Inode.Symlink link -> (int) (link.size() % ErofsFormat.BLOCK);
            case Inode.Regular ignored -> 0;
            case Inode.Special ignored -> 0;
        };
    }

    private static boolean crosses(long at, int length) {
        return at % ErofsFormat.BLOCK + length > ErofsFormat.BLOCK;
    }

    private static boolean hasInlineTail(Inode inode) {
        int tail = tailSize(inode);
        return tail > 0 && !crosses(inode.nid * ErofsFormat.SLOT + headSize(inode), tail);
    }

    /** How many inodes there are. */
    long inodes() {
        return order.size();
    }

    /** How many blocks the inodes take. */
    long metadataBlocks() {
        return size / ErofsFormat.BLOCK;
    }

    /**
     * Writes the inodes, and what does not fit beside them to blocks of its own.
     *
     * @param writer where to
     * @param metadataBlock the block they begin at
     * @return a name for the image that is made from its metadata, 16 bytes
     */
    byte[] write(ErofsWriter writer, long metadataBlock) throws IOException {
        MetadataOutput output = new MetadataOutput(writer, metadataBlock * ErofsFormat.BLOCK);
        for (int i = 0; i < order.size(); i++) {
            Inode inode = order.get(i);
            output.padTo(inode.nid * ErofsFormat.SLOT);
            boolean inline = hasInlineTail(inode);
            long blocks = contentBlocks(inode, inline);
            long firstBlock = blocks == 0 ? 0 : writer.takeBlocks(blocks);
            int content = switch (inode) {
                case Inode.Regular file -> (int) file.firstBlock();
                case Inode.Special special -> special.device();
                default -> (int) firstBlock;
            };
            ByteBuffer head = ByteBuffer.allocate(headSize(inode)).order(ByteOrder.LITTLE_ENDIAN);
            ErofsFormat.putInode(head, inode, i + 1, content, inline);
            output.put(head.flip());
            writeContents(inode, new Contents(writer, output, firstBlock, firstBlock + blocks));
        }
        output.padTo(size);
        return output.finish();
    }

    /** How many blocks of its own an inode needs for contents that are known here. */
    private static long contentBlocks(Inode inode, boolean inlineTail) {
        return switch (inode) {
            case Inode.Folder folder -> blocks(folder.size, inlineTail);
            case Inode.Symlink link -> blocks(link.size(), inlineTail);
            case Inode.Regular ignored -> 0;
            case Inode.Special ignored -> 0;
        };
    }

    private static long blocks(long size, boolean inlineTail) {
        return inlineTail ? size / ErofsFormat.BLOCK : Math.ceilDiv(size, ErofsFormat.BLOCK);
    }

    private static void writeContents(Inode inode, Contents to) throws IOException {
        switch (inode) {
            case Inode.Folder folder -> new FolderBlocks(folder).write(to);
            case Inode.Symlink link -> {
                byte[] target = ErofsFormat.bytes(link.target());
                to.accept(ByteBuffer.allocate(ErofsFormat.BLOCK).put(target).flip());
            }
            case Inode.Regular ignored -> {}
            case Inode.Special ignored -> {}
        }
    }

    /** Puts full blocks where they belong, and the tail behind the inode. */
    private static final class Contents implements FolderBlocks.Sink {
        private final ErofsWriter writer;
        private final MetadataOutput output;
        private final long end;
        private long block;

        Contents(ErofsWriter writer, MetadataOutput output, long firstBlock, long end) {
            this.writer = writer;
            this.output = output;
            this.block = firstBlock;
            this.end = end;
        }

        @Override
        public void accept(ByteBuffer bytes) throws IOException {
            if (block < end) {
                writer.writeFully(bytes.clear(), block * ErofsFormat.BLOCK);
                block++;
            } else {
                output.put(bytes);
            }
        }
    }

    /** Gathers the metadata into large writes. */
    private static final class MetadataOutput {
        private final ErofsWriter writer;
        private final MessageDigest digest = Digests.sha256();
        private final ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
        private final long start;
        private long flushed;

        MetadataOutput(ErofsWriter writer, long start) {
            this.writer = writer;
            this.start = start;
        }

        void put(ByteBuffer bytes) throws IOException {
            while (bytes.hasRemaining()) {
                int length = Math.min(bytes.remaining(), buffer.remaining());
                buffer.put(bytes.slice(bytes.position(), length));
                bytes.position(bytes.position() + length);
                if (!buffer.hasRemaining()) {
                    flush();
                }
            }
        }

        /** Puts zeros up to an offset. */
        void padTo(long offset) throws IOException {
            long missing = offset - flushed - buffer.position();
            put(ByteBuffer.allocate((int) missing));
        }

        private void flush() throws IOException {
            buffer.flip();
            digest.update(buffer.duplicate());
            int length = buffer.remaining();
            writer.writeFully(buffer, start + flushed);
            flushed += length;
            buffer.clear();
        }

        byte[] finish() throws IOException {
            flush();
            return uuid(digest.digest());
        }

        /** A UUID of version 8, which is anyone's to fill (RFC 9562, 5.8). */
        private static byte[] uuid(byte[] hash) {
            byte[] uuid = Arrays.copyOf(hash, 16);
            uuid[6] = (byte) ((uuid[6] & 0x0F) | 0x80);
            uuid[8] = (byte) ((uuid[8] & 0x3F) | 0x80);
            return uuid;
        }
    }
}
