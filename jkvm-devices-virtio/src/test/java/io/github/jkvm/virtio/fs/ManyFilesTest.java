package io.github.jkvm.virtio.fs;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.DeviceState;
import io.github.jkvm.kvm.ffi.FileCalls;
import io.github.jkvm.kvm.ffi.FileStat;
import io.github.jkvm.kvm.ffi.Libc;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;

/** Many more files than the process can have descriptors, in a JVM of its own with {@code ulimit -n}. */
class ManyFilesTest {
    private static final int DESCRIPTORS = 160;
    private static final int NOBODY = 65534;

    /** A file takes some microseconds there, and up to a millisecond on a disk. */
    private static final Path SHARED_MEMORY = Path.of("/dev/shm");

    @TempDir(factory = InSharedMemory.class)
    private Path temporary;

    private Path shared;

    private static final class InSharedMemory implements TempDirFactory {
        @Override
        public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext context) throws IOException {
            return Files.isWritable(SHARED_MEMORY)
                    ? Files.createTempDirectory(SHARED_MEMORY, "jkvm")
                    : Files.createTempDirectory("jkvm");
        }
    }

    @BeforeEach
    void makeFolder() throws IOException {
        // Others have to get there.
        Files.setPosixFilePermissions(temporary, PosixFilePermissions.fromString("rwxr-xr-x"));
        shared = Files.createDirectory(temporary.resolve("shared"));
    }

    @Test
    void servesAHundredThousandFilesWithFewDescriptors() throws Exception {
        assertThat(run(List.of(), 100, 1001)).contains("knew 100200 files");
    }

    @Test
    void servesThemAsAUserWithoutRights() throws Exception {
        assumeTrue(FileCalls.geteuid() == 0, "only root can become another user");
        Files.setAttribute(shared, "unix:uid", NOBODY);

        String output = run(
                List.of("setpriv", "--reuid=" + NOBODY, "--regid=" + NOBODY, "--clear-groups", "--bounding-set=-all"),
                10,
                201);

        assertThat(output).contains("knew 2020 files");
        assertThat(Files.getAttribute(shared.resolve("folder3"), "unix:uid")).isEqualTo(NOBODY);
    }

    private String run(List<String> become, int folders, int files) throws Exception {
        List<String> command = new ArrayList<>(become);
        Collections.addAll(
                command,
                "sh",
                "-c",
                "ulimit -n " + DESCRIPTORS + " && exec \"$@\"",
                "sh",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-Xmx128m",
                "-cp",
                classPath(),
                Server.class.getName(),
                shared.toString(),
                "" + folders,
                "" + files);
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output;
    }

    /** Copies of what the server is made of, since another user may not get to where it lies. */
    private String classPath() throws IOException, URISyntaxException {
        Set<Path> origins = new LinkedHashSet<>();
        for (Class<?> part : List.of(ManyFilesTest.class, FuseServer.class, Libc.class, DeviceState.class)) {
            origins.add(Path.of(
                    part.getProtectionDomain().getCodeSource().getLocation().toURI()));
        }
        List<Path> copies = new ArrayList<>();
        for (Path origin : origins) {
            Path copy = temporary.resolve("classes" + copies.size() + (Files.isDirectory(origin) ? "" : ".jar"));
            try (Stream<Path> files = Files.walk(origin)) {
                for (Path file : files.toList()) {
                    Files.copy(file, copy.resolve(origin.relativize(file).toString()));
                }
            }
            copies.add(copy);
        }
        return copies.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator));
    }

    /** What runs in the other JVM: makes files as a guest, and uses each once more when its descriptor is long closed. */
    static final class Server {
        private static final int CACHED = 40;

        private Server() {}

        public static void main(String[] args) throws IOException {
            int folders = Integer.parseInt(args[1]);
            int files = Integer.parseInt(args[2]);
            FsOptions options = FsOptions.readWrite().withMaxFiles(110_000).withCachedDescriptors(CACHED);
            try (FuseClient client = FuseClient.mount(Path.of(args[0]), options)) {
                long[] nodes = new long[folders * files];
                for (int i = 0; i < folders; i++) {
                    long folder = check(client.mkdir(FuseClient.ROOT, "folder" + i, 0755))
                            .node();
                    for (int j = 0; j < files; j++) {
                        long node = check(client.mknod(folder, "file" + j, FileStat.S_IFREG | 0644, 0))
                                .node();
                        nodes[i * files + j] = node;
                        if (hasContent(j)) {
                            write(client, node, content(i, j));
                        }
                    }
                }
                for (int i = 0; i < folders; i++) {
                    for (int j = 0; j < files; j++) {
                        long node = nodes[i * files + j];
                        long size = check(client.getattr(node)).longAt(FuseLayout.ATTR_OUT_ATTR + FuseLayout.ATTR_SIZE);
                        String content = hasContent(j) ? new String(content(i, j), UTF_8) : "";
                        if (size != content.length() || (hasContent(j) && !content.equals(read(client, node)))) {
                            throw new AssertionError("file " + j + " of " + i + " has lost its content");
                        }
                    }
                }
                int most = client.server().idleDescriptors();
                if (most > 1 + CACHED) {
                    throw new AssertionError(most + " descriptors are kept");
                }
                System.out.println("knew " + (client.server().knownFiles() - 1) + " files");
            }
        }

        private static void write(FuseClient client, long node, byte[] content) {
            long handle = client.handle(client.open(node, FuseClient.O_RDWR));
            check(client.write(node, handle, 0, content));
            client.release(node, handle);
        }

        /** A page of memory for each would be much. */
        private static boolean hasContent(int file) {
            return file % 50 == 0;
        }

        private static String read(FuseClient client, long node) {
            long handle = client.handle(client.open(node, FuseClient.O_RDONLY));
            String content = client.read(node, handle, 0, 100).text();
            client.release(node, handle);
            return content;
        }

        private static byte[] content(int folder, int file) {
            return (folder + "/" + file).getBytes(UTF_8);
        }

        private static FuseClient.Reply check(FuseClient.Reply reply) {
            if (reply.error() != 0) {
                throw new AssertionError("errno " + reply.error());
            }
            return reply;
        }
    }
}
