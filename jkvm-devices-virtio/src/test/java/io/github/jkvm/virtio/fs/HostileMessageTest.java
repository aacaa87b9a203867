package io.github.jkvm.virtio.fs;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.virtio.fs.FuseClient.Reply;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/**
 * Messages that no kernel would send, mostly almost right: never an exception, never more files than the limits, never a change outside of
 * the folder.
 */
class HostileMessageTest {
    private static final int FILES = 64;
    private static final int OPEN_FILES = 16;
    private static final int MESSAGES = 100;

    static final List<String> NAMES = List.of(
            "a", "b", "c", "d", "e", "secret", "user.x", "user.y", "", ".", "..", "../outside", "/", "security.x");

    /** Sizes of what comes before the names, by opcode. */
    static final Map<Integer, Integer> STRUCTURES = Map.ofEntries(
            Map.entry(FuseLayout.FORGET, FuseLayout.FORGET_IN),
            Map.entry(FuseLayout.GETATTR, 16),
            Map.entry(FuseLayout.SETATTR, FuseLayout.SETATTR_IN),
            Map.entry(FuseLayout.MKNOD, FuseLayout.MKNOD_IN),
            Map.entry(FuseLayout.MKDIR, FuseLayout.MKDIR_IN),
            Map.entry(FuseLayout.RENAME, FuseLayout.RENAME_IN),
            Map.entry(FuseLayout.RENAME2, FuseLayout.RENAME2_IN),
            Map.entry(FuseLayout.LINK, FuseLayout.LINK_IN),
            Map.entry(FuseLayout.OPEN, FuseLayout.OPEN_IN),
            Map.entry(FuseLayout.OPENDIR, FuseLayout.OPEN_IN),
            Map.entry(FuseLayout.CREATE, FuseLayout.CREATE_IN),
            Map.entry(FuseLayout.READ, FuseLayout.READ_IN),
            Map.entry(FuseLayout.READDIR, FuseLayout.READ_IN),
            Map.entry(FuseLayout.READDIRPLUS, FuseLayout.READ_IN),
            Map.entry(FuseLayout.WRITE, FuseLayout.WRITE_IN),
            Map.entry(FuseLayout.RELEASE, FuseLayout.RELEASE_IN),
            Map.entry(FuseLayout.RELEASEDIR, FuseLayout.RELEASE_IN),
            Map.entry(FuseLayout.FLUSH, 24),
            Map.entry(FuseLayout.FSYNC, FuseLayout.FSYNC_IN),
            Map.entry(FuseLayout.FSYNCDIR, FuseLayout.FSYNC_IN),
            Map.entry(FuseLayout.SETXATTR, FuseLayout.SETXATTR_IN),
            Map.entry(FuseLayout.GETXATTR, FuseLayout.GETXATTR_IN),
            Map.entry(FuseLayout.LISTXATTR, FuseLayout.GETXATTR_IN),
            Map.entry(FuseLayout.ACCESS, FuseLayout.ACCESS_IN),
            Map.entry(FuseLayout.FALLOCATE, FuseLayout.FALLOCATE_IN),
            Map.entry(FuseLayout.LSEEK, FuseLayout.LSEEK_IN),
            Map.entry(FuseLayout.COPY_FILE_RANGE, FuseLayout.COPY_IN),
            Map.entry(FuseLayout.BATCH_FORGET, FuseLayout.BATCH_FORGET_IN + 2 * FuseLayout.FORGET_ONE));

    private static long sent;
    private static long served;
    private static Path temporary;
    private static Path shared;
    private static Path outside;
    private static FuseClient writer;
    private static FuseClient reader;

    @BeforeContainer
    static void mount() throws IOException {
        temporary = Files.createTempDirectory("hostile");
        outside = Files.createDirectory(temporary.resolve("outside"));
        Files.writeString(outside.resolve("secret"), "secret");
        shared = Files.createDirectory(temporary.resolve("shared"));
        Files.createSymbolicLink(shared.resolve("a"), outside);
        Files.createDirectory(shared.resolve("b"));
        Files.writeString(shared.resolve("c"), "content");
        FsOptions limits = FsOptions.readWrite().withMaxFiles(FILES).withMaxOpenFiles(OPEN_FILES);
        writer = FuseClient.mount(shared, limits);
        reader = FuseClient.mount(
                outside, FsOptions.readOnly().withMaxFiles(FILES).withMaxOpenFiles(OPEN_FILES));
    }

    @AfterContainer
    static void unmount() throws IOException {
        // Or the messages would be no more than noise.
        assertThat(served).isGreaterThan(sent / 20);
        writer.close();
        reader.close();
        Files.walkFileTree(temporary, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) throws IOException {
                Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"));
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.delete(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path folder, IOException failure) throws IOException {
                Files.delete(folder);
                return FileVisitResult.CONTINUE;
            }
        });
    }

    @Property(tries = 500)
    void neverThrowsNeverOverflowsAndNeverGetsOut(@ForAll long seed) throws IOException {
        var random = new Random(seed);
        // The messages before may have taken them away.
        Files.setPosixFilePermissions(shared, PosixFilePermissions.fromString("rwxr-xr-x"));
        for (int i = 0; i < MESSAGES; i++) {
            served += check(random, writer) + check(random, reader);
            sent += 2;
        }

        assertThat(outside.resolve("secret")).hasContent("secret");
        try (var files = Files.list(outside)) {
            assertThat(files).hasSize(1);
        }
        writer.init();
        reader.init();
        assertThat(writer.server().openFiles()).isZero();
        assertThat(writer.server().knownFiles()).isOne();
    }

    /** Sends one message. Returns 1 if it was served, 0 if it was refused. */
    private static int check(Random random, FuseClient guest) {
        int opcode = rarely(random) ? random.nextInt() : random.nextInt(1, 53);
        byte[] arguments = arguments(random, opcode);
        int length = FuseLayout.IN_HEADER + arguments.length;
        int claimed = rarely(random) ? length + random.nextInt(-50, 50) : length;
        byte[] message = FuseClient.args(length)
                .putInt(claimed)
                .putInt(opcode)
                .putLong(4711)
                .putLong(number(random))
                .putInt(random.nextInt(3))
                .putInt(random.nextInt(3))
                .put(FuseLayout.IN_HEADER, arguments)
                .array();
        int room = rarely(random) ? random.nextInt(200) : 70_000;

        Reply reply = guest.send(message, room);

        if (reply.written() > 0) {
            assertThat(reply.unique()).isEqualTo(4711);
            // A kernel takes errors from 0 to 511 only (Linux, fs/fuse/dev.c).
            assertThat(reply.error()).isBetween(0, 511);
        }
        assertThat(guest.server().knownFiles()).isBetween(1, FILES);
        assertThat(guest.server().openFiles()).isBetween(0, OPEN_FILES);
        if (opcode == FuseLayout.DESTROY) {
            // Nothing is served after it.
            guest.init();
        }
        return reply.written() > 0 && reply.error() == 0 ? 1 : 0;
    }

    private static boolean rarely(Random random) {
        return random.nextInt(20) == 0;
    }

    /** Mostly a structure of the right size with small numbers, and names behind it. */
    private static byte[] arguments(Random random, int opcode) {
        int size = rarely(random) ? random.nextInt(100) : STRUCTURES.getOrDefault(opcode, 0);
        byte[] names = (pick(random, NAMES) + "\0" + pick(random, NAMES) + "\0").getBytes(UTF_8);
        ByteBuffer bytes = FuseClient.args(size + names.length);
        while (bytes.position() + Long.BYTES <= size) {
            // A number that is large by chance could allocate all of the host's disk.
            bytes.putLong(opcode == FuseLayout.FALLOCATE ? random.nextInt(-1, 5000) : number(random));
        }
        return FuseClient.bytes(bytes.put(size, names));
    }

    /** A number of a file or a handle, a size, flags, or none of these. */
    private static long number(Random random) {
        return switch (random.nextInt(12)) {
            case 0 -> random.nextLong();
            case 1 -> (long) random.nextInt(40) << 32 | random.nextInt(1, 10);
            case 2 -> random.nextLong(70_000) << 32 | random.nextInt(70_000);
            case 3 -> 0;
            case 4, 5, 6 -> 1;
            default -> random.nextInt(1, 10);
        };
    }

    private static String pick(Random random, List<String> names) {
        return names.get(random.nextInt(names.size()));
    }
}
