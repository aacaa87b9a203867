package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseClient.O_RDONLY;
import static io.github.jkvm.virtio.fs.FuseClient.O_RDWR;
import static io.github.jkvm.virtio.fs.FuseClient.ROOT;
import static io.github.jkvm.virtio.fs.FuseClient.args;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.DeviceState;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.fs.FuseClient.Reply;
import io.github.jkvm.virtio.queue.RingFormat;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** Clauses are of virtio 1.2. */
@ParameterizedClass
@EnumSource(RingFormat.class)
final class FsDeviceTest {
    private static final int FIRST_QUEUE = 0;
    private static final int REQUEST_QUEUE = 1;

    @Parameter
    RingFormat format;

    @TempDir
    private Path folder;

    private FsDevice device() throws IOException {
        return new FsDevice("fs0", "share", folder, FsOptions.readWrite());
    }

    /** Messages by way of a queue, in buffers of several sizes. */
    private record QueueWire(VirtioDriver guest, int queue) implements FuseClient.Wire {
        @Override
        public byte[] send(byte[] message, int room) {
            guest.buffers().clear();
            List<Buffer> chain = new ArrayList<>();
            int header = Math.min(message.length, FuseLayout.IN_HEADER);
            chain.add(guest.buffers().readable(Arrays.copyOf(message, header)));
            if (message.length > header) {
                chain.add(guest.buffers().readable(Arrays.copyOfRange(message, header, message.length)));
            }
            List<Buffer> rooms = new ArrayList<>();
            for (int at = 0; at < room; ) {
                int length = at == 0 ? Math.min(room, FuseLayout.OUT_HEADER) : Math.min(room - at, 4096);
                rooms.add(guest.buffers().writable(length));
                at += length;
            }
            chain.addAll(rooms);
            Used used = guest.request(queue, chain.toArray(Buffer[]::new));
            byte[] reply = new byte[(int) used.length()];
            int at = 0;
            for (Buffer each : rooms) {
                byte[] bytes = guest.buffers().bytes(each);
                int count = Math.min(bytes.length, reply.length - at);
                System.arraycopy(bytes, 0, reply, at, count);
                at += count;
            }
            return reply;
        }

        @Override
        public void close() {
            guest.close();
        }
    }

    private static FuseClient mount(VirtioDriver guest) {
        var client = new FuseClient(new QueueWire(guest, REQUEST_QUEUE));
        assertThat(client.init().error()).isZero();
        return client;
    }

    /** 5.11.1 and 5.11.4: id 26; a tag of 36 bytes, padded with NUL, and the number of request queues. */
    @Test
    void tellsTagAndNumberOfQueues() throws IOException {
        FsOptions options = FsOptions.readOnly().withRequestQueues(3);
        VirtioDriver guest = Guests.start(new FsDevice("fs0", "tägchen", folder, options), format);

        byte[] tag = new byte[36];
        for (int i = 0; i < tag.length; i++) {
            tag[i] = (byte) guest.config(i, 1);
        }
        assertThat(new String(tag, UTF_8)).isEqualTo("tägchen" + "\0".repeat(28));
        assertThat(guest.config(36, 4)).isEqualTo(3);
        guest.close();
    }

    @Test
    void refusesTagsThatDoNotFit() {
        for (String tag : new String[] {"", "x".repeat(37), "ä".repeat(19), "a\0b"}) {
            assertThatThrownBy(() -> new FsDevice("fs0", tag, folder, FsOptions.readOnly()))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("1 to 36");
        }
    }

    @Test
    void writesAndReadsFilesThroughTheQueue() throws IOException {
        FsDevice device = device();
        VirtioDriver guest = Guests.start(device, format);
        byte[] data = new byte[100_000];
        new Random(2).nextBytes(data);
        try (FuseClient client = mount(guest)) {
            Reply created = client.create(ROOT, "file", O_RDWR, 0644);
            long handle = client.handle(created);

            assertThat(client.write(created.node(), handle, 0, data).error()).isZero();
            assertThat(client.read(created.node(), handle, 0, data.length).bytes())
                    .isEqualTo(data);
            assertThat(folder.resolve("file")).hasBinaryContent(data);
            assertThat(client.lookup(ROOT, "none").error()).isEqualTo(Errno.ENOENT);
            assertThat(device.counters())
                    .containsEntry("bytesRead", 100_000L)
                    .containsEntry("bytesWritten", 100_000L)
                    .containsEntry("requests", 5L)
                    .containsEntry("failures", 0L);
            assertThat(device.openFiles()).isOne();
            assertThat(device.knownFiles()).isEqualTo(2);
        }
        assertThat(device.openFiles()).isZero();
        assertThat(device.knownFiles()).isZero();
    }

    /** 5.11.6.1: FORGET goes through the queue of high priority and has no reply. */
    @Test
    void forgetsThroughTheFirstQueue() throws IOException {
        Files.createFile(folder.resolve("file"));
        FsDevice device = device();
        VirtioDriver guest = Guests.start(device, format);
        try (FuseClient client = mount(guest)) {
            long node = client.find("file");
            var urgent = new FuseClient(new QueueWire(guest, FIRST_QUEUE));

            urgent.forget(node, 1);

            assertThat(device.knownFiles()).isOne();
        }
    }

    @Test
    void servesManyRequestsAtATime() throws IOException {
        byte[] data = new byte[64];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) i;
        }
        Files.write(folder.resolve("file"), data);
        VirtioDriver guest = Guests.start(device(), format);
        try (FuseClient client = mount(guest)) {
            long node = client.find("file");
            long handle = client.handle(client.open(node, O_RDONLY));
            guest.buffers().clear();
            List<Buffer> answers = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                byte[] arguments = args(FuseLayout.READ_IN)
                        .putLong(handle)
                        .putLong(i)
                        .putInt(1)
                        .array();
                byte[] message = args(FuseLayout.IN_HEADER + arguments.length)
                        .putInt(FuseLayout.IN_HEADER + arguments.length)
                        .putInt(FuseLayout.READ)
                        .putLong(i)
                        .putLong(node)
                        .put(FuseLayout.IN_HEADER, arguments)
                        .array();
                Buffer answer = guest.buffers().writable(FuseLayout.OUT_HEADER + 1);
                answers.add(answer);
                guest.queue(REQUEST_QUEUE).add(guest.buffers().readable(message), answer);
            }
            guest.kick(REQUEST_QUEUE);
            var back = new ArrayList<Used>();
            guest.loop().runUntil(() -> {
                guest.queue(REQUEST_QUEUE).takeUsed().ifPresent(back::add);
                return back.size() == answers.size();
            });

            // In any order: 5.11.6 asks for none.
            assertThat(back).extracting(Used::length).containsOnly(17L);
            for (int i = 0; i < answers.size(); i++) {
                byte[] reply = guest.buffers().bytes(answers.get(i));
                assertThat(reply[FuseLayout.OUT_UNIQUE]).isEqualTo((byte) i);
                assertThat(reply[FuseLayout.OUT_HEADER]).isEqualTo((byte) i);
            }
        }
    }

    @Test
    void forgetsTheSessionWhenTheDriverResetsIt() throws IOException {
        Files.createFile(folder.resolve("file"));
        FsDevice device = device();
        VirtioDriver guest = Guests.start(device, format);
        try (FuseClient client = mount(guest)) {
            for (int i = 0; i < 100; i++) {
                long node = client.find("file");
                client.handle(client.open(node, O_RDONLY));
                // Left in flight, or not begun.
                guest.queue(REQUEST_QUEUE)
                        .add(
                                guest.buffers().readable(new byte[FuseLayout.IN_HEADER]),
                                guest.buffers().writable(100));
                guest.mmio().setRegister(0x050, REQUEST_QUEUE);

                guest.start(guest.offered());

                assertThat(device.openFiles()).isZero();
                assertThat(device.knownFiles()).isOne();
                assertThat(client.getattr(ROOT).error()).isEqualTo(Errno.EIO);
                client.init();
            }
            assertThat(guest.needsReset()).isFalse();
        }
    }

    @Test
    void goesOnWithTheSessionThatWasSaved() throws IOException {
        Files.createDirectories(folder.resolve("a/b"));
        Files.writeString(folder.resolve("a/b/file"), "content");
        Files.writeString(folder.resolve("gone"), "x");
        FsDevice device = device();
        VirtioDriver guest = Guests.start(device, format);
        FuseClient client = mount(guest);
        long node = client.find("a/b/file");
        long handle = client.handle(client.open(node, O_RDWR));
        long list = client.handle(client.opendir(ROOT));
        long gone = client.find("gone");
        long goneHandle = client.handle(client.open(gone, O_RDONLY));
        Reply deleted = client.create(ROOT, "deleted", O_RDWR, 0644);
        client.unlink(ROOT, "deleted");

        DeviceState state = DeviceState.decode(guest.save().encode());
        Files.delete(folder.resolve("gone"));
        FsDevice next = device();
        try (FuseClient clone = new FuseClient(new QueueWire(Guests.restoreInto(guest, next, state), REQUEST_QUEUE))) {
            assertThat(next.knownFiles()).isEqualTo(4);
            assertThat(next.openFiles()).isEqualTo(2);
            assertThat(clone.read(node, handle, 0, 100).text()).isEqualTo("content");
            assertThat(clone.write(node, handle, 0, new byte[] {'C'}).error()).isZero();
            assertThat(clone.readdir(FuseLayout.READDIR, ROOT, list, 0, 4096).error())
                    .isZero();
            assertThat(clone.find("a/b/file")).isEqualTo(node);
            assertThat(clone.getattr(gone).error()).isEqualTo(Errno.ESTALE);
            assertThat(clone.read(gone, goneHandle, 0, 1).error()).isEqualTo(Errno.EBADF);
            assertThat(clone.getattr(deleted.node()).error()).isEqualTo(Errno.ESTALE);
            // No number is given twice.
            Reply made = clone.create(ROOT, "new", O_RDWR, 0644);
            assertThat(made.node()).isNotIn(gone, deleted.node(), node);
            assertThat(clone.handle(made)).isNotIn(goneHandle, handle, list);
        }
        assertThat(folder.resolve("a/b/file")).hasContent("Content");
        guest.close();
    }

    @Test
    void refusesSavedSessionsThatMakeNoSense() throws IOException {
        VirtioDriver guest = Guests.start(device(), format);
        mount(guest);
        for (byte[] files : new byte[][] {{1}, new byte[20], new byte[5000]}) {
            DeviceState state = guest.save();
            state.putBytes("files", files);
            state.putBytes("open", files);
            FsDevice next = device();
            assertThatThrownBy(() -> Guests.restoreInto(guest, next, state))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("too early");
            next.close();
        }
        guest.close();
    }

    @Test
    void restoresNoFileOutsideOfTheFolder() throws IOException {
        VirtioDriver guest = Guests.start(device(), format);
        mount(guest);
        for (String path : new String[] {"../../etc", "/etc", "..", "link/passwd", "", "none"}) {
            Files.deleteIfExists(folder.resolve("link"));
            Files.createSymbolicLink(folder.resolve("link"), Path.of("/etc"));
            byte[] name = path.getBytes(UTF_8);
            DeviceState state = guest.save();
            state.putBytes(
                    "files",
                    ByteBuffer.allocate(20 + name.length)
                            .putLong(2)
                            .putLong(1)
                            .putShort((short) (path.contains("passwd") ? 0x8000 : 0x4000))
                            .putShort((short) name.length)
                            .put(name)
                            .array());
            FsDevice next = device();
            VirtioDriver other = Guests.restoreInto(guest, next, state);
            assertThat(next.knownFiles()).as(path).isOne();
            other.close();
        }
        guest.close();
    }

    @Test
    void answersChainsThatAreNoMessages() throws IOException {
        VirtioDriver guest = Guests.start(device(), format);
        try (FuseClient client = mount(guest)) {
            assertThat(client.send(new byte[0], 100).written()).isZero();
            assertThat(client.send(new byte[39], 100).written()).isZero();
            assertThat(client.send(new byte[40], 0).written()).isZero();
            assertThat(client.send(new byte[40], 15).written()).isZero();
            assertThat(client.send(new byte[40], 16).error()).isEqualTo(Errno.EINVAL);
            assertThat(client.getattr(ROOT).error()).isZero();
            assertThat(guest.needsReset()).isFalse();
        }
    }

    @Test
    void survivesRingsThatTheDriverScribblesOver() throws IOException {
        var random = new Random(3);
        VirtioDriver guest = Guests.start(device(), format);
        try (FuseClient client = mount(guest)) {
            for (int round = 0; round < 300; round++) {
                for (int i = 0; i < 200; i++) {
                    long address = 0x1_0000L + random.nextInt(0x2_0000);
                    int value = random.nextBoolean() ? random.nextInt(8) : random.nextInt();
                    guest.memory().writeByte(address, (byte) value);
                }
                guest.kick(random.nextInt(2));
                if (guest.needsReset()) {
                    guest.start(guest.offered());
                }
            }
            guest.start(guest.offered());
            client.init();
            assertThat(client.getattr(ROOT).error()).isZero();
        }
    }
}
