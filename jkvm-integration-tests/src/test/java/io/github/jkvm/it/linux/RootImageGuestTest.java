package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.jkvm.sandbox.RootFs;
import io.github.jkvm.sandbox.image.RootImage;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.LinuxMachineBuilder;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.virtio.VirtioPci;
import io.github.jkvm.virtio.block.BlockDevice;
import io.github.jkvm.virtio.block.ImageAccess;
import io.github.jkvm.virtio.block.RawImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Roots that {@code jkvm-sandbox} makes of folders and container images, mounted by Linux. The number of small files is {@value #FILES_PROPERTY}, 1,000 if it is
 * not set.
 */
@RequiresLinuxGuest
@Timeout(600)
class RootImageGuestTest {
    private static final String FILES_PROPERTY = "jkvm.root.files";
    private static final Duration LIMIT = Duration.ofMinutes(4);

    /** All that a root keeps of its files, but for the many of one folder, in an order that no file system changes. Folders' sizes and links differ. */
    private static final String LISTING = """
            export LC_ALL=C
            busybox find . -mindepth 1 -type d -print0 | busybox sort -z | busybox xargs -0r busybox stat -c 'd %a %u %g %Y %n'
            busybox find . -path ./wide -prune -o -type f -print0 | busybox sort -z | busybox xargs -0r busybox stat -c 'f %a %u %g %Y %s %h %n'
            busybox find . -path ./wide -prune -o -type l -print0 | busybox sort -z | busybox xargs -0r busybox stat -c 'l %u %g %Y %N'
            busybox find . -path ./wide -prune -o -type p -print0 | busybox sort -z | busybox xargs -0r busybox stat -c 'p %a %u %g %Y %n'
            busybox find . -path ./wide -prune -o -type f -print0 | busybox sort -z | busybox xargs -0r busybox cat | busybox sha256sum
            """;

    @TempDir
    static Path temporary;

    private static final List<RootImage> images = new ArrayList<>();
    private static Path tree;
    private static LinuxMachine guest;
    private static boolean debian;

    @BeforeAll
    static void boot() throws Exception {
        tree = Files.createDirectory(temporary.resolve("tree"));
        fill(tree);
        Path root = Path.of(System.getProperty("jkvm.root"), "jkvm-integration-tests/target/debian-root/root");
        debian = Files.isExecutable(root.resolve("usr/bin/python3"));
        LinuxMachineBuilder builder = LinuxMachine.builder()
                .memory(512L << 20)
                .modules("virtio_pci", "virtio_blk", "erofs", "overlay")
                .programs("getcap");
        attach(builder, "tree", RootFs.folder(tree));
        attach(builder, "oci", RootFs.oci(layout(temporary.resolve("layout"))));
        if (debian) {
            attach(builder, "debian", RootFs.folder(root));
        }
        guest = builder.start();
        guest.run("""
                for serial in /sys/block/vd*/serial; do
                  disk=${serial#/sys/block/}
                  mkdir -p /roots/$(cat $serial)
                  mount -t erofs -o ro /dev/${disk%/serial} /roots/$(cat $serial)
                done""");
    }

    private static void attach(LinuxMachineBuilder builder, String name, RootFs root) throws IOException {
        RootImage image = RootImage.open(root);
        images.add(image);
        RawImage disk = RawImage.open(image.file(), ImageAccess.READ_ONLY);
        builder.device(new VirtioPci(
                BlockDevice.builder(name, disk).serial(name).readOnly().build()));
    }

    @AfterAll
    static void end() {
        if (guest != null) {
            guest.close();
        }
        images.forEach(RootImage::close);
    }

    /** Makes a folder that has a bit of everything, and much of some. */
    private static void fill(Path folder) throws IOException, InterruptedException {
        SplittableRandom random = new SplittableRandom(1);
        Path small = Files.createDirectory(folder.resolve("small"));
        int files = Integer.getInteger(FILES_PROPERTY, 1_000);
        for (int i = 0; i < files; i++) {
            Path in = small.resolve("d" + i / 500);
            Files.createDirectories(in);
            Files.writeString(in.resolve("file" + i), "number " + i);
        }
        Path wide = Files.createDirectory(folder.resolve("wide"));
        for (int i = 0; i < 5_000; i++) {
            Files.createFile(wide.resolve("an entry of a folder of five thousand, number " + i));
        }
        for (int size : new int[] {0, 1, 4095, 4096, 4097, 12_288, 65_536, 1_000_003}) {
            byte[] contents = new byte[size];
            random.nextBytes(contents);
            Files.write(folder.resolve("size-" + size), contents);
        }
        try (RandomAccessFile sparse =
                new RandomAccessFile(folder.resolve("sparse").toFile(), "rw")) {
            sparse.setLength(8 << 20);
            sparse.seek(5 << 20);
            sparse.writeBytes("in the middle");
        }
        Files.writeString(folder.resolve("n".repeat(255)), "a long name");
        Files.writeString(folder.resolve("grün \"quoted\" 漢字"), "a strange name");
        Files.createSymbolicLink(folder.resolve("link"), Path.of("size-4097"));
        Files.createSymbolicLink(folder.resolve("long-link"), Path.of("l/".repeat(1500)));
        Files.createLink(folder.resolve("small/hard"), folder.resolve("size-4096"));
        HostCommand.run("mkfifo", folder.resolve("pipe").toString());
        HostCommand.run("chmod", "4751", folder.resolve("size-1").toString());
        HostCommand.run("chmod", "1777", wide.toString());
        HostCommand.run(
                "touch", "-d", "2001-02-03 04:05:06", folder.resolve("size-0").toString());
    }

    /** Writes a container image of two layers whose files no user of the host could make. */
    private static Path layout(Path folder) throws Exception {
        Path blobs = Files.createDirectories(folder.resolve("blobs/sha256"));
        Files.writeString(folder.resolve("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
        byte[] lower = layer(tar -> {
            put(tar, "bin/", '5', 0755, "");
            put(tar, "bin/old", '0', 0644, "");
            put(tar, "etc/gone", '0', 0644, "");
            put(tar, "etc/kept", '0', 0640, "");
            put(tar, "sbin", '2', 0777, "bin");
        });
        byte[] upper = layer(tar -> {
            put(tar, "etc/.wh.gone", '0', 0644, "");
            put(tar, "sbin/ping", '0', 04711, "");
            put(tar, "bin/alias", '1', 0, "etc/kept");
            put(tar, "dev/null", '3', 0666, "");
            put(tar, "dev/disk", '4', 0660, "");
        });
        String config = part(
                blobs,
                "application/vnd.oci.image.config.v1+json",
                "{\"os\":\"linux\",\"architecture\":\"amd64\"}".getBytes(StandardCharsets.UTF_8));
        String gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
        String manifest = "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s,%s]}"
                .formatted(config, part(blobs, gzip, lower), part(blobs, gzip, upper));
        String image =
                part(blobs, "application/vnd.oci.image.manifest.v1+json", manifest.getBytes(StandardCharsets.UTF_8));
        Files.writeString(folder.resolve("index.json"), "{\"schemaVersion\":2,\"manifests\":[%s]}".formatted(image));
        return folder;
    }

    private interface Entries {
        void put(TarArchiveOutputStream tar) throws IOException;
    }

    private static byte[] layer(Entries entries) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(new GZIPOutputStream(bytes))) {
            tar.setBigNumberMode(TarArchiveOutputStream.BIGNUMBER_POSIX);
            entries.put(tar);
        }
        return bytes.toByteArray();
    }

    private static void put(TarArchiveOutputStream tar, String path, char type, int mode, String target)
            throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry(path, (byte) type, true);
        entry.setMode(mode);
        entry.setIds(1_234, 3_000_000);
        entry.setModTime(1_000_000_000_000L);
        entry.setLinkName(target);
        if (type == '3' || type == '4') {
            entry.setDevMajor(259);
            entry.setDevMinor(70_000);
        }
        if (path.endsWith("ping")) {
            // Linux, include/uapi/linux/capability.h: revision 2, effective; permitted: CAP_NET_RAW, which is number
            // 13.
            entry.addPaxHeader("SCHILY.xattr.security.capability", "\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        }
        tar.putArchiveEntry(entry);
        tar.closeArchiveEntry();
    }

    private static String part(Path blobs, String type, byte[] bytes) throws Exception {
        String hex =
                HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        Files.write(blobs.resolve(hex), bytes);
        return "{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%d}".formatted(type, hex, bytes.length);
    }

    @Test
    void linuxSeesAFolderAsTheHostDoes() throws Exception {
        String expected = HostCommand.run("sh", "-c", "cd " + tree + "\n" + LISTING);

        String seen = guest.run("cd /roots/tree\n" + LISTING, LIMIT);

        assertThat(seen.lines()).containsExactlyElementsOf(expected.lines().toList());
    }

    @Test
    void linuxFindsEveryNameOfALargeFolder() throws Exception {
        assertThat(guest.run(
                        "cd /roots/tree/wide && n=0 && while [ $n -lt 5000 ]; do"
                                + " [ -f \"an entry of a folder of five thousand, number $n\" ] || echo $n; n=$((n + 13)); done;"
                                + " [ -e 'an entry of a folder of five thousand, number 5000' ] || echo none; ls | wc -l",
                        LIMIT))
                .isEqualTo("none\n5000");
    }

    @Test
    void linuxSeesWhatAContainerImageSays() throws Exception {
        assertThat(guest.run("cd /roots/oci && find . | sort && stat -c '%a %u %g %Y %h %n' bin/ping etc/kept"
                        + " && stat -c '%a %F %t:%T' dev/null dev/disk && readlink sbin"
                        + " && [ $(stat -c %i bin/alias) = $(stat -c %i etc/kept) ] && echo linked"
                        + " && getcap -r . 2>/dev/null"))
                .isEqualTo("""
                        .
                        ./bin
                        ./bin/alias
                        ./bin/old
                        ./bin/ping
                        ./dev
                        ./dev/disk
                        ./dev/null
                        ./etc
                        ./etc/kept
                        ./sbin
                        4711 1234 3000000 1000000000 1 bin/ping
                        640 1234 3000000 1000000000 2 etc/kept
                        666 character special file 103:11170
                        660 block special file 103:11170
                        bin
                        linked
                        ./bin/ping cap_net_raw=ep""");
    }

    @Test
    void linuxWritesToAnOverlayOnTopAndNeverToTheRoot() throws Exception {
        String output = guest.run("""
                mkdir /over /merged && mount -t tmpfs none /over && mkdir /over/upper /over/work
                mount -t overlay -o lowerdir=/roots/tree,upperdir=/over/upper,workdir=/over/work none /merged
                cd /merged && rm -r wide && mv size-4097 moved && echo more >>size-1 && rm link && mkdir link
                ls -d wide size-4097 2>/dev/null; wc -c <size-1
                cd / && umount /merged
                cd /roots/tree && ls wide | wc -l && wc -c <size-1 && readlink link && wc -c <size-4097
                touch x 2>&1 || true""", LIMIT);

        assertThat(output).isEqualTo("6\n5000\n1\nsize-4097\n4097\ntouch: x: Read-only file system");
    }

    @Test
    void linuxRunsPythonFromARootOfDebian() throws Exception {
        assumeTrue(debian, "no small Debian: run scripts/lib/debian-root");

        assertThat(guest.run(
                        "chroot /roots/debian /usr/bin/python3 -c 'import json, hashlib; print(json.dumps([6 * 7]))'",
                        LIMIT))
                .isEqualTo("[42]");
    }
}
