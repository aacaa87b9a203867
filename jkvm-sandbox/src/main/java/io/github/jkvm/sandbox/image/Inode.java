package io.github.jkvm.sandbox.image;

import java.util.HashSet;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * One file of a root that is being put together. A file with several names is one of these in several folders.
 *
 * <p>Names are strings in which each char is a byte, so that no name is lost to an encoding, and so that their natural order is that of the bytes.
 */
abstract sealed class Inode {
    /** Its owner, mode, time and attributes. */
    Metadata metadata;

    /** How many names it has; counted when the image is laid out. */
    int links;

    /** Where it is in the image, in units of 32 bytes from the begin of the metadata; 0 until it is laid out. */
    long nid;

    private Inode(Metadata metadata) {
        this.metadata = metadata;
    }

    /** The upper bits of its mode, as S_IFREG and the like (Linux, include/uapi/linux/stat.h). */
    abstract int format();

    /** What folders say that it is, as FT_REG_FILE and the like (Linux, include/linux/fs_types.h). */
    abstract int fileType();

    /** How many bytes {@code stat} reports. */
    abstract long size();

    /** A folder. */
    static final class Folder extends Inode {
        /** What it holds, by name. */
        final SortedMap<String, Inode> entries = new TreeMap<>();

        /** The folder it is in; the root's is itself. */
        Folder parent = this;

        /** Its name there; the root has none. */
        String name = "";

        /** How many bytes its entries take in the image; known when it is laid out. */
        long size;

        private int layer;
        private @Nullable Set<String> placed;

        Folder(Metadata metadata) {
            super(metadata);
        }

        /** Puts a file here in place of one of this name. */
        void put(String entry, Inode inode) {
            entries.put(entry, inode);
            if (inode instanceof Folder folder) {
                folder.parent = this;
                folder.name = entry;
            }
        }

        /** Notes that a layer has put this name here, or something inside of it. */
        void mark(String entry, int inLayer) {
            Set<String> names = placed;
            if (names == null || layer != inLayer) {
                names = new HashSet<>();
                placed = names;
                layer = inLayer;
            }
            names.add(entry);
        }

        /** Says whether a layer has put this name here, or something inside of it. */
        boolean marked(String entry, int byLayer) {
            return placed != null && layer == byLayer && placed.contains(entry);
        }

        @Override
        int format() {
            return 0040000;
        }

        @Override
        int fileType() {
            return 2;
        }

        @Override
        long size() {
            return size;
        }
    }

    /** A regular file, whose contents are in the image already. */
    static final class Regular extends Inode {
        private final long size;
        private final long firstBlock;

        /**
         * Creates a file.
         *
         * @param size its size in bytes
         * @param firstBlock the number of the block that its contents begin at
         */
        Regular(Metadata metadata, long size, long firstBlock) {
            super(metadata);
            this.size = size;
            this.firstBlock = firstBlock;
        }

        long firstBlock() {
            return firstBlock;
        }

        @Override
        int format() {
            return 0100000;
        }

        @Override
        int fileType() {
            return 1;
        }

        @Override
        long size() {
            return size;
        }
    }

    /** A symbolic link. */
    static final class Symlink extends Inode {
        private final String target;

        Symlink(Metadata metadata, String target) {
            super(metadata);
            this.target = target;
        }

        /** What it points to; each char is a byte. */
        String target() {
            return target;
        }

        @Override
        int format() {
            return 0120000;
        }

        @Override
        int fileType() {
            return 7;
        }

        @Override
        long size() {
            return target.length();
        }
    }

    /** A device node or a pipe. */
    static final class Special extends Inode {
        private final SpecialType type;
        private final int device;

        /**
         * Creates a special file.
         *
         * @param device the device's number as {@link #device(long, long)} makes it; 0 for a pipe
         */
        Special(Metadata metadata, SpecialType type, int device) {
            super(metadata);
            this.type = type;
            this.device = device;
        }

        /** A device's number as it is on disk (Linux, include/linux/kdev_t.h, new_encode_dev): major of 12 bits, minor of 20 bits. */
        static int device(long major, long minor) {
            return (int) ((minor & 0xFF) | ((major & 0xFFF) << 8) | ((minor & 0xF_FF00) << 12));
        }

        int device() {
            return device;
        }

        @Override
        int format() {
            return type.format;
        }

        @Override
        int fileType() {
            return type.fileType;
        }

        @Override
        long size() {
            return 0;
        }
    }

    /** The kinds of special files that a root may have. */
    enum SpecialType {
        CHARACTER_DEVICE(0020000, 3),
        BLOCK_DEVICE(0060000, 4),
        PIPE(0010000, 5);

        private final int format;
        private final int fileType;

        SpecialType(int format, int fileType) {
            this.format = format;
            this.fileType = fileType;
        }
    }
}
