package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseClient.O_RDONLY;
import static io.github.jkvm.virtio.fs.FuseClient.O_RDWR;
import static io.github.jkvm.virtio.fs.FuseClient.ROOT;
import static io.github.jkvm.virtio.fs.FuseClient.args;
import static io.github.jkvm.virtio.fs.FuseClient.text;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileStat;
import io.github.jkvm.virtio.fs.FuseClient.Reply;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A guest tries to reach what is outside of its folder. A file there is told by its content. With one descriptor to keep, the server has to
 * look for each file anew.
 */
@ParameterizedClass
@ValueSource(ints = {1, 1000})
class EscapeTest {
    private static final String SECRET = "what the guest must never see";

    @TempDir
    private Path temporary;

    @Parameter
    private int cachedDescriptors;

    private Path folder;
    private Path outside;
    private FuseClient client;

    @BeforeEach
    void mount() throws IOException {
        folder = Files.createDirectory(temporary.resolve("shared"));
        outside = Files.createDirectory(temporary.resolve("outside"));
        Files.writeString(outside.resolve("secret"), SECRET);
        client = FuseClient.mount(folder, FsOptions.readWrite().withCachedDescriptors(cachedDescriptors));
    }

    @AfterEach
    void unmount() {
        client.close();
    }

    @Test
    void refusesNamesThatLeadElsewhere() {
        for (String name : List.of(
                "", ".", "..", "/", "//", "/etc", "../outside", "./x", "a/b", "..//", "x/", "/proc/self/root")) {
            assertThat(client.lookup(ROOT, name).error())
                    .as("lookup '%s'", name)
                    .isEqualTo(Errno.EINVAL);
            assertThat(client.create(ROOT, name, O_RDWR, 0644).error()).isEqualTo(Errno.EINVAL);
            assertThat(client.mkdir(ROOT, name, 0755).error()).isEqualTo(Errno.EINVAL);
            assertThat(client.mknod(ROOT, name, FileStat.S_IFREG, 0).error()).isEqualTo(Errno.EINVAL);
            assertThat(client.unlink(ROOT, name).error()).isEqualTo(Errno.EINVAL);
            assertThat(client.rmdir(ROOT, name).error()).isEqualTo(Errno.EINVAL);
            assertThat(client.symlink(ROOT, name, "x").error()).isEqualTo(Errno.EINVAL);
            assertThat(client.rename(ROOT, name, ROOT, "y").error()).isEqualTo(Errno.EINVAL);
            assertThat(client.rename(ROOT, "y", ROOT, name).error()).isEqualTo(Errno.EINVAL);
            assertThat(client.link(ROOT, ROOT, name).error()).isEqualTo(Errno.EINVAL);
        }
        assertThat(client.lookup(ROOT, "x".repeat(256)).error()).isEqualTo(Errno.ENAMETOOLONG);
        assertThat(client.lookup(ROOT, "x".repeat(255)).error()).isEqualTo(Errno.ENOENT);
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void refusesNamesWithoutAnEnd() {
        byte[] noEnd = {'x', 'y'};
        for (int opcode : new int[] {FuseLayout.LOOKUP, FuseLayout.UNLINK, FuseLayout.RMDIR, FuseLayout.SYMLINK}) {
            assertThat(client.send(opcode, ROOT, noEnd, 1000).error()).isEqualTo(Errno.EINVAL);
            assertThat(client.send(opcode, ROOT, new byte[0], 1000).error()).isEqualTo(Errno.EINVAL);
        }
        byte[] oneName = text("only").array();
        assertThat(client.send(FuseLayout.SYMLINK, ROOT, oneName, 1000).error()).isEqualTo(Errno.EINVAL);
    }

    @Test
    void followsNoLinkOfTheHostOrTheGuest() throws IOException {
        Files.createSymbolicLink(folder.resolve("hosts"), outside);
        client.symlink(ROOT, "guests", outside.toString());
        client.symlink(ROOT, "up", "..");
        client.symlink(ROOT, "file", outside.resolve("secret").toString());
        client.symlink(ROOT, "proc", "/proc/self/cwd");

        for (String name : List.of("hosts", "guests", "up", "file", "proc")) {
            Reply entry = client.lookup(ROOT, name);
            long node = entry.node();
            assertThat(entry.mode() & FileStat.S_IFMT).isEqualTo(FileStat.S_IFLNK);
            assertThat(client.lookup(node, "secret").error()).isEqualTo(Errno.ENOTDIR);
            assertThat(client.create(node, "new", O_RDWR, 0644).error()).isEqualTo(Errno.ENOTDIR);
            assertThat(client.mkdir(node, "new", 0755).error()).isEqualTo(Errno.ENOTDIR);
            assertThat(client.unlink(node, "secret").error()).isEqualTo(Errno.ENOTDIR);
            assertThat(client.rename(node, "secret", ROOT, "mine").error()).isEqualTo(Errno.ENOTDIR);
            assertThat(client.opendir(node).error()).isEqualTo(Errno.ENOTDIR);
            assertThat(client.open(node, O_RDONLY).error()).isEqualTo(Errno.ELOOP);
            assertThat(client.create(ROOT, name, O_RDWR, 0644).error()).isEqualTo(Errno.ELOOP);
            assertThat(client.truncate(node, 0).error()).isEqualTo(Errno.ELOOP);
            assertThat(client.chmod(node, 0).error()).isEqualTo(Errno.EOPNOTSUPP);
        }
        client.chown(client.find("file"), 5, 5);
        client.setattr(client.find("file"), FuseLayout.FATTR_MTIME, args -> {});
        assertThat(outside.resolve("secret")).hasContent(SECRET);
        assertThat(Files.getLastModifiedTime(outside.resolve("secret")).toMillis())
                .isNotZero();
        assertThat(outside).isDirectoryContaining(file -> file.endsWith("secret"));
    }

    @Test
    void linksToALinkAndNotToWhatItNames() throws IOException {
        client.symlink(ROOT, "link", outside.resolve("secret").toString());

        client.link(client.find("link"), ROOT, "hard");

        assertThat(folder.resolve("hard")).isSymbolicLink();
        assertThat((int) Files.getAttribute(outside.resolve("secret"), "unix:nlink"))
                .isOne();
    }

    @Test
    void doesNotEnterOtherMounts() throws IOException {
        // /proc is a mount below the root of the host wherever tests run.
        assumeTrue(Files.exists(Path.of("/proc/self/status")), "no /proc here");
        try (FuseClient root = FuseClient.mount(Path.of("/"), FsOptions.readOnly())) {
            assertThat(root.lookup(ROOT, "proc").error()).isEqualTo(Errno.EXDEV);
            assertThat(root.list(FuseLayout.READDIRPLUS, ROOT, 4096)).containsKey("proc");
            assertThat(root.lookup(ROOT, "etc").error()).isZero();
        }
    }

    @Test
    void givesNoOtherFileForANumberOfBefore() throws IOException {
        Files.writeString(folder.resolve("mine"), "mine");
        long node = client.find("mine");
        client.forget(node, 1);
        Files.writeString(folder.resolve("other"), "other");
        client.find("other");

        for (long number : new long[] {node, 0, -1, 2, 3, 1L << 32 | 1, Long.MIN_VALUE | 1}) {
            assertThat(client.getattr(number).error()).as("number %x", number).isEqualTo(Errno.ESTALE);
            assertThat(client.open(number, O_RDONLY).error()).isEqualTo(Errno.ESTALE);
            assertThat(client.link(number, ROOT, "stolen").error()).isEqualTo(Errno.ESTALE);
            assertThat(client.rename(ROOT, "other", number, "stolen").error()).isEqualTo(Errno.ESTALE);
        }
    }

    /**
     * The host swaps a folder with a link to the outside, as fast as it can, while guests look up, open, make and remove in it. A
     * server that checked a path and then used it would end up outside.
     */
    @Test
    void staysInsideWhileFoldersAndLinksTradePlaces() throws Exception {
        Path swapped = folder.resolve("swapped");
        Path spareFolder = temporary.resolve("folder");
        Path spareLink = temporary.resolve("link");
        Files.createDirectory(swapped);
        Files.writeString(swapped.resolve("secret"), "inside");
        Files.createSymbolicLink(spareLink, outside);
        var stop = new AtomicBoolean();
        var leaks = new AtomicInteger();
        var reads = new AtomicInteger();
        var started = new CountDownLatch(3);
        List<Thread> threads = new ArrayList<>();
        List<Throwable> failures = new ArrayList<>();
        threads.add(Thread.ofPlatform().start(() -> {
            started.countDown();
            try {
                while (!stop.get()) {
                    Files.move(swapped, spareFolder, StandardCopyOption.ATOMIC_MOVE);
                    Files.move(spareLink, swapped, StandardCopyOption.ATOMIC_MOVE);
                    Files.move(swapped, spareLink, StandardCopyOption.ATOMIC_MOVE);
                    Files.move(spareFolder, swapped, StandardCopyOption.ATOMIC_MOVE);
                }
            } catch (IOException e) {
                synchronized (failures) {
                    failures.add(e);
                }
            }
        }));
        for (int i = 0; i < 2; i++) {
            threads.add(Thread.ofPlatform().start(() -> {
                started.countDown();
                try (FuseClient guest = client.another()) {
                    while (!stop.get()) {
                        attack(guest, leaks, reads);
                    }
                } catch (RuntimeException | Error e) {
                    synchronized (failures) {
                        failures.add(e);
                    }
                }
            }));
        }
        started.await();
        long end = System.nanoTime() + 1_000_000_000L;
        while (System.nanoTime() < end || reads.get() == 0) {
            Thread.onSpinWait();
        }
        stop.set(true);
        for (Thread thread : threads) {
            thread.join();
        }

        assertThat(failures).isEmpty();
        assertThat(reads).hasPositiveValue();
        assertThat(leaks).hasValue(0);
        assertThat(outside.resolve("secret")).hasContent(SECRET);
        try (var files = Files.list(outside)) {
            assertThat(files).hasSize(1);
        }
    }

    private static void attack(FuseClient guest, AtomicInteger leaks, AtomicInteger reads) {
        Reply entry = guest.lookup(ROOT, "swapped");
        if (entry.error() != 0) {
            return;
        }
        long node = entry.node();
        Reply secret = guest.lookup(node, "secret");
        if (secret.error() == 0) {
            Reply opened = guest.open(secret.node(), O_RDONLY);
            if (opened.error() == 0) {
                long handle = guest.handle(opened);
                if (guest.read(secret.node(), handle, 0, 100).text().equals(SECRET)) {
                    leaks.incrementAndGet();
                }
                reads.incrementAndGet();
                guest.release(secret.node(), handle);
            }
            guest.forget(secret.node(), 1);
        }
        guest.mkdir(node, "made", 0755);
        guest.rmdir(node, "made");
        guest.unlink(node, "missing");
        guest.forget(node, 1);
        guest.send(FuseLayout.STATFS, ROOT, args(0));
    }
}
