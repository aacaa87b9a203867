package io.github.jkvm.sandbox.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** Any tree comes out of its image as it went in. */
class TreePropertyTest {
    /** Writes one image, and tells which of its inodes is at which path. */
    private static final class Case {
        private final SplittableRandom random;
        private final ErofsWriter writer;
        private final SortedMap<String, Inode> files = new TreeMap<>();
        private final SortedMap<String, String> contents = new TreeMap<>();
        private final List<Inode> linkable = new ArrayList<>();
        private final List<Inode.Folder> folders = new ArrayList<>();
        private final List<String> paths = new ArrayList<>();

        Case(SplittableRandom random, ErofsWriter writer) {
            this.random = random;
            this.writer = writer;
        }

        Inode.Folder build(int count) throws IOException {
            Inode.Folder root = new Inode.Folder(metadata());
            folders.add(root);
            paths.add("");
            for (int i = 0; i < count; i++) {
                int in = random.nextInt(folders.size());
                String name = name(i);
                String path = paths.get(in) + name;
                Inode inode = inode(path);
                folders.get(in).put(name, inode);
                files.put(path, inode);
                if (inode instanceof Inode.Folder folder) {
                    folders.add(folder);
                    paths.add(path + "/");
                }
            }
            writer.finish(root);
            return root;
        }

        /** Names that differ, of any bytes but zero and slash, mostly short. */
        private String name(int number) {
            StringBuilder name = new StringBuilder();
            int length = random.nextInt(10) == 0 ? random.nextInt(245) : random.nextInt(12);
            for (int i = 0; i < length; i++) {
                char c = (char) (1 + random.nextInt(255));
                name.append(c == '/' ? '!' : c);
            }
            return name.append(number).toString();
        }

        private Inode inode(String path) throws IOException {
            switch (random.nextInt(8)) {
                case 0, 1 -> {
                    return new Inode.Folder(metadata());
                }
                case 2 -> {
                    String target = "t".repeat(1 + random.nextInt(random.nextInt(4) == 0 ? 4095 : 60));
                    contents.put(path, target);
                    return new Inode.Symlink(metadata(), target);
                }
                case 3 -> {
                    Inode.SpecialType[] types = Inode.SpecialType.values();
                    return new Inode.Special(metadata(), types[random.nextInt(types.length)], random.nextInt(1000));
                }
                case 4 -> {
                    if (!linkable.isEmpty()) {
                        Inode inode = linkable.get(random.nextInt(linkable.size()));
                        files.entrySet().stream()
                                .filter(file -> file.getValue() == inode)
                                .findFirst()
                                .ifPresent(file -> contents.put(path, contents.get(file.getKey())));
                        return inode;
                    }
                }
                default -> {
                    // Below.
                }
            }
            byte[] bytes = new byte[random.nextInt(random.nextInt(4) == 0 ? 300_000 : 9_000)];
            random.nextBytes(bytes);
            Inode file = writer.append(metadata(), new ByteArrayInputStream(bytes));
            linkable.add(file);
            contents.put(path, new String(bytes, StandardCharsets.ISO_8859_1));
            return file;
        }

        private Metadata metadata() {
            SortedMap<String, byte[]> attributes = new TreeMap<>();
            while (random.nextInt(3) == 0) {
                byte[] value = new byte[random.nextInt(random.nextInt(5) == 0 ? 5_000 : 30)];
                random.nextBytes(value);
                String[] spaces = {"user.", "trusted.", "security."};
                attributes.put(spaces[random.nextInt(3)] + "a".repeat(1 + random.nextInt(40)), value);
            }
            return new Metadata(
                    random.nextInt(010000),
                    random.nextInt(),
                    random.nextInt(),
                    random.nextLong(),
                    random.nextInt(1_000_000_000),
                    attributes);
        }
    }

    @Property(tries = 150)
    void comesOutAsItWentIn(@ForAll long seed, @ForAll @IntRange(max = 400) int count) throws Exception {
        Path image = Files.createTempFile("tree", ".erofs");
        try {
            Case tree;
            Inode.Folder root;
            try (FileChannel channel = FileChannel.open(image, StandardOpenOption.WRITE)) {
                tree = new Case(new SplittableRandom(seed), new ErofsWriter(channel));
                root = tree.build(count);
            }
            Fsck.check(image);
            ErofsReader.File read = ErofsReader.read(image);
            assertSame(read, root, "");
            tree.files.forEach((path, inode) -> assertSame(read.at(path), inode, tree.contents.getOrDefault(path, "")));
            assertThat(count(read)).isEqualTo(tree.files.size());
        } finally {
            Files.delete(image);
        }
    }

    private static void assertSame(ErofsReader.File file, Inode inode, String contents) {
        Metadata metadata = inode.metadata;
        assertThat(file.mode()).isEqualTo(inode.format() | metadata.permissions());
        assertThat(file.user()).isEqualTo(metadata.user());
        assertThat(file.group()).isEqualTo(metadata.group());
        assertThat(file.seconds()).isEqualTo(metadata.seconds());
        assertThat(file.nanoseconds()).isEqualTo(metadata.nanoseconds());
        assertThat(file.links()).isEqualTo(inode.links);
        assertThat(file.text().equals(contents)).isTrue();
        assertThat(file.attributes().keySet()).isEqualTo(metadata.attributes().keySet());
        metadata.attributes()
                .forEach((name, value) -> assertThat(file.attributes().get(name))
                        .isEqualTo(new String(value, StandardCharsets.ISO_8859_1)));
        if (inode instanceof Inode.Special special) {
            assertThat(file.device()).isEqualTo(special.device());
        }
    }

    private static int count(ErofsReader.File folder) {
        int count = folder.entries().size();
        for (ErofsReader.File file : folder.entries().values()) {
            count += count(file);
        }
        return count;
    }
}
