package io.github.jkvm.it.linux;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.fs.FsDevice;
import io.github.jkvm.virtio.fs.FsOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Linux's sources, unpacked by a guest on a folder of the host, compared with what the host's own tar makes of them ({@code
 * scripts/lib/kernel-tree} leaves both), and removed. The device has far fewer descriptors than there are files.
 */
@RequiresLinuxGuest
@Timeout(600)
@ParameterizedClass
@EnumSource(GuestTransport.class)
class KernelTreeGuestTest {
    private static final int DESCRIPTORS = 100;

    /** All of the sources take an emulated processor many minutes. */
    private static final Duration LIMIT = Duration.ofMinutes(50);

    @TempDir
    private Path temporary;

    @Parameter
    private GuestTransport transport;

    @Test
    @Timeout(3600)
    void unpacksComparesAndRemovesAKernelTree() throws Exception {
        Path root = Path.of(System.getProperty("jkvm.root"));
        Path sources = root.resolve("jkvm-integration-tests/target/kernel-tree");
        assumeTrue(Files.exists(sources.resolve("tree.list")), "no kernel's sources: run scripts/lib/kernel-tree");
        List<String> expected = Files.readAllLines(sources.resolve("tree.list"));
        String sums = expected.stream()
                .filter(line -> line.matches("[0-9a-f]{32}  .*"))
                .map(line -> line + "\n")
                .collect(Collectors.joining());
        Path shared = Files.createDirectory(temporary.resolve("shared"));
        var device = new FsDevice("fs0", "shared", shared, FsOptions.readWrite().withCachedDescriptors(DESCRIPTORS));
        try (LinuxMachine guest = LinuxMachine.builder()
                .modules(transport.module(), "virtiofs")
                .device(transport.of(device))
                .device(transport.of(new FsDevice("fs1", "sources", sources, FsOptions.readOnly())))
                .start()) {
            guest.run("mkdir /sources && mount -t virtiofs sources /sources && mount -t virtiofs shared /mnt");

            long start = System.nanoTime();
            guest.run("tar xf /sources/tree.tar -C /mnt && sync", LIMIT);
            long unpacked = System.nanoTime();

            int known = device.knownFiles();
            long requests = device.counters().get("requests");
            assertThat(known).isGreaterThan(5 * DESCRIPTORS);
            assertThat(descriptorsOf(shared)).isLessThanOrEqualTo(DESCRIPTORS + 10);
            assertSame(listing(root, shared), expected);
            long compared = System.nanoTime();
            say("unpacked", start, unpacked, known + " files known, " + requests + " requests");
            say("found the same by the host", unpacked, compared, expected.size() + " lines");
            // What the guest reads comes from the host, and not out of its own cache.
            guest.run("umount /mnt && mount -t virtiofs shared /mnt");
            assertThat(guest.run("cd /mnt && find . -type f | sort | xargs md5sum | md5sum", LIMIT))
                    .startsWith(md5(sums));
            long read = System.nanoTime();
            say("found the same by the guest", compared, read, "");
            guest.run("find /mnt -mindepth 1 -maxdepth 1 -exec rm -r {} +", LIMIT);
            long removed = System.nanoTime();

            assertThat(shared).isEmptyDirectory();
            assertThat(device.counters()).containsEntry("queueFaults", 0L).containsEntry("failures", 0L);
            say("removed", read, removed, "");
        }
    }

    private void say(String what, long from, long to, String more) {
        System.out.printf("kernel tree over %s: %s in %d s %s%n", transport, what, seconds(from, to), more);
    }

    /** Names what differs, not the many that don't. */
    private static void assertSame(List<String> actual, List<String> expected) {
        Set<String> missing = new LinkedHashSet<>(expected);
        actual.forEach(missing::remove);
        Set<String> unexpected = new LinkedHashSet<>(actual);
        expected.forEach(unexpected::remove);
        assertThat(missing).isEmpty();
        assertThat(unexpected).isEmpty();
        assertThat(actual.size()).isEqualTo(expected.size());
    }

    private static long seconds(long from, long to) {
        return Duration.ofNanos(to - from).toSeconds();
    }

    /** How many descriptors of this process are of files beneath a folder. */
    private static long descriptorsOf(Path folder) throws IOException {
        try (var descriptors = Files.list(Path.of("/proc/self/fd"))) {
            return descriptors.filter(fd -> isLinkTo(fd, folder)).count();
        }
    }

    private static boolean isLinkTo(Path fd, Path folder) {
        try {
            return Files.readSymbolicLink(fd).startsWith(folder);
        } catch (IOException e) {
            return false; // that of the list itself
        }
    }

    private static List<String> listing(Path root, Path folder) throws Exception {
        Process process = new ProcessBuilder(
                        root.resolve("scripts/lib/tree-listing").toString(), folder.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        List<String> lines = new String(process.getInputStream().readAllBytes(), UTF_8)
                .lines()
                .toList();
        assertThat(process.waitFor()).isZero();
        return lines;
    }

    private static String md5(String text) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(text.getBytes(UTF_8)));
    }
}
