package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A folder's entries as blocks of an image: each has the numbers of its entries, and then their names. Names are in the order of their bytes, "." and ".." too,
 * because the kernel searches them by halves.
 */
final class FolderBlocks {
    private final Inode.Folder folder;
    private final List<String> names;

    FolderBlocks(Inode.Folder folder) {
        this.folder = folder;
        names = new ArrayList<>(folder.entries.size() + 2);
        names.addAll(folder.entries.keySet());
        names.add(".");
        names.add("..");
        names.sort(null);
    }

    /** How many bytes the blocks have, the last as far as it is used. */
    long size() {
        long size = 0;
        for (int from = 0; from < names.size(); ) {
            int to = blockEnd(from);
            size += to == names.size() ? used(from, to) : ErofsFormat.BLOCK;
            from = to;
        }
        return size;
    }

    /** Takes blocks one after the other. */
    interface Sink {
        /**
         * Takes the next block.
         *
         * @param block of {@link ErofsFormat#BLOCK} bytes, with zeros behind what is used; its limit is what is used of the last
         */
        void accept(ByteBuffer block) throws IOException;
    }

    /** Hands out the blocks; all inodes have their places. */
    void write(Sink sink) throws IOException {
        for (int from = 0; from < names.size(); ) {
            int to = blockEnd(from);
            ByteBuffer block = ByteBuffer.allocate(ErofsFormat.BLOCK).order(ByteOrder.LITTLE_ENDIAN);
            int nameOffset = (to - from) * ErofsFormat.ENTRY;
            for (String name : names.subList(from, to)) {
                Inode inode = inode(name);
                block.putLong(inode.nid)
                        .putShort((short) nameOffset)
                        .put((byte) inode.fileType())
                        .put((byte) 0);
                block.put(nameOffset, ErofsFormat.bytes(name));
                nameOffset += name.length();
            }
            sink.accept(block.clear().limit(to == names.size() ? nameOffset : ErofsFormat.BLOCK));
            from = to;
        }
    }

    private Inode inode(String name) {
        return switch (name) {
            case "." -> folder;
            case ".." -> folder.parent;
            default -> Objects.requireNonNull(folder.entries.get(name), name);
        };
    }

    private int blockEnd(int from) {
        int used = 0;
        int to = from;
        while (to < names.size()) {
            used += ErofsFormat.ENTRY + names.get(to).length();
            if (used > ErofsFormat.BLOCK) {
                return to;
            }
            to++;
        }
        return to;
    }

    private int used(int from, int to) {
        int used = 0;
        for (String name : names.subList(from, to)) {
            used += ErofsFormat.ENTRY + name.length();
        }
        return used;
    }
}
