package io.github.jkvm.sandbox.image;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Puts the layers of a container image on top of each other (OCI image-spec 1.1, layer.md). The result is a tree in memory and the contents of its files in the
 * image: nothing of it is ever a file of the host, so that whatever path or link a layer has, it stays inside.
 */
final class LayerTree {
    private static final String WHITEOUT = ".wh.";
    private static final String OPAQUE = ".wh..wh..opq";

    /** What begins like this is of aufs' own, and no file. */
    private static final String AUFS = ".wh..wh.";

    /** The longest path, and link, that Linux takes (include/uapi/linux/limits.h, PATH_MAX less the zero at the end). */
    private static final int MAX_PATH = 4095;

    /** How many links Linux follows at most (include/linux/namei.h, MAXSYMLINKS). */
    private static final int MAX_LINKS = 40;

    /** What to do where a folder on the way is missing. */
    private enum Missing {
        MADE,
        LEFT
    }

    private final ErofsWriter writer;
    private final Budget budget;
    private final Inode.Folder root = new Inode.Folder(Metadata.FOLDER);
    private int layer;

    LayerTree(ErofsWriter writer, Budget budget) {
        this.writer = writer;
        this.budget = budget;
    }

    Inode.Folder root() {
        return root;
    }

    /**
     * Adds the next layer.
     *
     * @param archive a tar archive, unpacked; not closed here
     * @throws IOException if it is malformed, or has entries that cannot be
     */
    void add(InputStream archive) throws IOException {
        layer++;
        TarReader tar = new TarReader(archive);
        for (TarEntry entry = tar.next(); entry != null; entry = tar.next()) {
            budget.addEntry();
            try {
                add(entry, tar.body());
            } catch (IOException e) {
                throw new IOException("entry " + Descriptor.shown(entry.path()) + ": " + e.getMessage(), e);
            }
        }
    }

    private void add(TarEntry entry, InputStream body) throws IOException {
        List<String> names = names(entry.path());
        if (names.isEmpty()) {
            if (entry.type() != '5') {
                throw new IOException("is the root, but no folder");
            }
            root.metadata = entry.metadata();
            return;
        }
        String name = names.removeLast();
        if (name.startsWith(WHITEOUT)) {
            hide(folder(names, Missing.LEFT), name);
            return;
        }
        Inode.Folder folder = Objects.requireNonNull(folder(names, Missing.MADE));
        Inode old = folder.entries.get(name);
        if (entry.type() == '5' && old instanceof Inode.Folder same) {
            same.metadata = entry.metadata();
            mark(folder, name);
        } else {
            put(folder, name, inode(entry, body));
        }
    }

    private Inode inode(TarEntry entry, InputStream body) throws IOException {
        Metadata metadata = entry.metadata();
        return switch (entry.type()) {
            case '0' -> writer.append(metadata, body);
            case '1' -> linked(entry.target());
            case '2' -> new Inode.Symlink(metadata, checkedTarget(entry.target()));
            case '3' -> new Inode.Special(metadata, Inode.SpecialType.CHARACTER_DEVICE, entry.device());
            case '4' -> new Inode.Special(metadata, Inode.SpecialType.BLOCK_DEVICE, entry.device());
            case '5' -> new Inode.Folder(metadata);
            default -> new Inode.Special(metadata, Inode.SpecialType.PIPE, 0);
        };
    }

    private static String checkedTarget(String target) throws IOException {
        if (target.isEmpty() || target.length() > MAX_PATH) {
            throw new IOException("is a link to a path of " + target.length() + " bytes; Linux takes 1 to " + MAX_PATH);
        }
        return target;
    }

    /** The file that a hard link is another name of; a layer below may have brought it. */
    private Inode linked(String target) throws IOException {
        List<String> names = names(target);
        Inode inode = null;
        if (!names.isEmpty()) {
            String name = names.removeLast();
            Inode.Folder folder = folder(names, Missing.LEFT);
            inode = folder == null ? null : folder.entries.get(name);
        }
        if (inode == null || inode instanceof Inode.Folder) {
            throw new IOException("is a hard link to " + Descriptor.shown(target) + ", which is "
                    + (inode == null ? "not there" : "a folder"));
        }
        return inode;
    }

    /** Splits a path. Paths are meant from the root, whatever they begin with. */
    private static List<String> names(String path) throws IOException {
        if (path.length() > MAX_PATH) {
            throw new IOException("has a path of " + path.length() + " bytes; Linux takes " + MAX_PATH);
        }
        List<String> names = new ArrayList<>();
        for (String name : path.split("/", -1)) {
            if (name.equals("..")) {
                throw new IOException("has '..' in a path, which may lead out of the root");
            }
            if (name.length() > ErofsFormat.MAX_NAME) {
                throw new IOException("has a name of " + name.length() + " bytes; Linux takes " + ErofsFormat.MAX_NAME);
            }
            if (!name.isEmpty() && !name.equals(".")) {
                names.add(name);
            }
        }
        return names;
    }

    /** Finds a folder as the kernel would that has this root: follows links, absolute ones from the root, and never goes above it. */
    private Inode.@Nullable Folder folder(List<String> names, Missing missing) throws IOException {
        Deque<String> rest = new ArrayDeque<>(names);
        Inode.Folder at = root;
        int links = 0;
        while (!rest.isEmpty()) {
            String name = rest.pop();
            if (name.isEmpty() || name.equals(".")) {
                continue;
            }
            if (name.equals("..")) {
                at = at.parent;
                continue;
            }
            switch (at.entries.get(name)) {
                case null -> {
                    if (missing == Missing.LEFT) {
                        return null;
                    }
                    budget.addEntry();
                    Inode.Folder made = new Inode.Folder(Metadata.FOLDER);
                    put(at, name, made);
                    at = made;
                }
                case Inode.Folder folder -> at = folder;
                case Inode.Symlink link -> {
                    if (++links > MAX_LINKS) {
                        throw new IOException("goes through more than " + MAX_LINKS + " symbolic links");
                    }
                    if (link.target().startsWith("/")) {
                        at = root;
                    }
                    List.of(link.target().split("/", -1)).reversed().forEach(rest::push);
                }
                case Inode.Regular ignored -> throw inTheWay(name);
                case Inode.Special ignored -> throw inTheWay(name);
            }
        }
        return at;
    }

    private static IOException inTheWay(String name) {
        return new IOException("is below " + Descriptor.shown(name) + ", which is no folder");
    }

    private void put(Inode.Folder folder, String name, Inode inode) throws IOException {
        if (name.length() > ErofsFormat.MAX_NAME) {
            throw new IOException("has a name of " + name.length() + " bytes; Linux takes " + ErofsFormat.MAX_NAME);
        }
        folder.put(name, inode);
        mark(folder, name);
    }

    /** Notes that this layer has put something here, for the folders above too. */
    private void mark(Inode.Folder folder, String name) {
        Inode.Folder at = folder;
        String marked = name;
        while (!at.marked(marked, layer)) {
            at.mark(marked, layer);
            marked = at.name;
            at = at.parent;
        }
    }

    /** Does what a whiteout says: hides what lower layers have brought, and nothing of this layer, wherever in it the whiteout is. */
    private void hide(Inode.@Nullable Folder folder, String name) throws IOException {
        if (name.equals(WHITEOUT)) {
            throw new IOException("is a whiteout of nothing");
        }
        if (folder == null) {
            return;
        }
        if (name.equals(OPAQUE)) {
            clear(folder);
        } else if (!name.startsWith(AUFS)) {
            String hidden = name.substring(WHITEOUT.length());
            if (!folder.marked(hidden, layer)) {
                folder.entries.remove(hidden);
            } else if (folder.entries.get(hidden) instanceof Inode.Folder mixed) {
                clear(mixed);
            }
        }
    }

    private void clear(Inode.Folder top) {
        Deque<Inode.Folder> rest = new ArrayDeque<>(List.of(top));
        while (!rest.isEmpty()) {
            Inode.Folder folder = rest.pop();
            folder.entries.keySet().removeIf(name -> !folder.marked(name, layer));
            for (Inode inode : folder.entries.values()) {
                if (inode instanceof Inode.Folder inner) {
                    rest.push(inner);
                }
            }
        }
    }
}
