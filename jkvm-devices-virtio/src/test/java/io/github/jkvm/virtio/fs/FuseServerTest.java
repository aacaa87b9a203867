package io.github.jkvm.virtio.fs;

import static io.github.jkvm.virtio.fs.FuseClient.ROOT;
import static io.github.jkvm.virtio.fs.FuseClient.args;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.virtio.fs.FuseClient.Reply;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The session: versions, replies, numbers of files and their limits. */
class FuseServerTest {
    @TempDir
    private Path folder;

    private FuseClient client;

    @BeforeEach
    void mount() throws IOException {
        client = FuseClient.mount(folder, FsOptions.readWrite().withMaxFiles(8).withMaxOpenFiles(4));
    }

    @AfterEach
    void unmount() {
        client.close();
    }

    @Test
    void agreesOnAVersionAndOnWhatIsOffered() {
        Reply reply = client.init();

        assertThat(reply.error()).isZero();
        assertThat(reply.body().limit()).isEqualTo(FuseLayout.INIT_OUT);
        assertThat(reply.intAt(FuseLayout.INIT_OUT_MAJOR)).isEqualTo(7);
        assertThat(reply.intAt(FuseLayout.INIT_OUT_MINOR)).isGreaterThanOrEqualTo(31);
        assertThat(reply.intAt(FuseLayout.INIT_OUT_MAX_WRITE)).isEqualTo(1 << 20);
        int offered = FuseLayout.ASYNC_READ;
        Reply less = client.send(
                FuseLayout.INIT, 0, args(16).putInt(7).putInt(31).putInt(4096).putInt(offered));
        assertThat(less.intAt(FuseLayout.INIT_OUT_FLAGS)).isEqualTo(offered);
    }

    @Test
    void answersALaterVersionWithItsOwnAndRefusesEarlierOnes() {
        Reply later = client.send(FuseLayout.INIT, 0, args(16).putInt(8).putInt(0));
        Reply earlier = client.send(FuseLayout.INIT, 0, args(16).putInt(7).putInt(30));

        assertThat(later.intAt(FuseLayout.INIT_OUT_MAJOR)).isEqualTo(7);
        assertThat(earlier.error()).isEqualTo(Errno.EPROTO);
    }

    @Test
    void servesNothingBeforeTheSessionBegins() {
        client.send(FuseLayout.DESTROY, 0, args(0));

        assertThat(client.getattr(ROOT).error()).isEqualTo(Errno.EIO);
        client.init();
        assertThat(client.getattr(ROOT).error()).isZero();
    }

    @Test
    void repliesWithTheNumberOfTheRequest() {
        Reply first = client.getattr(ROOT);
        Reply second = client.lookup(ROOT, "missing");

        assertThat(second.unique()).isEqualTo(first.unique() + 2);
        assertThat(second.error()).isEqualTo(Errno.ENOENT);
        assertThat(second.written()).isEqualTo(FuseLayout.OUT_HEADER);
    }

    @Test
    void refusesWhatItDoesNotKnow() {
        for (int opcode : new int[] {0, 7, 31, 32, 33, 37, 39, 40, 48, 51, 52, 1000, -1}) {
            assertThat(client.send(opcode, ROOT, args(64)).error())
                    .as("opcode %d", opcode)
                    .isEqualTo(Errno.ENOSYS);
        }
    }

    @Test
    void countsReferencesAndForgets() throws IOException {
        Files.createFile(folder.resolve("file"));
        long node = client.find("file");
        assertThat(client.find("file")).isEqualTo(node);

        client.forget(node, 1);
        assertThat(client.getattr(node).error()).isZero();
        client.forget(node, 1);

        assertThat(client.getattr(node).error()).isEqualTo(Errno.ESTALE);
        assertThat(client.server().knownFiles()).isOne();
        assertThat(client.find("file")).isNotEqualTo(node);
    }

    @Test
    void forgetsMoreThanThereIsWithoutHarm() throws IOException {
        Files.createFile(folder.resolve("file"));
        long node = client.find("file");

        client.forget(node, -1);
        client.forget(node, 5);
        client.forget(ROOT, -1);
        client.forget(12345, 1);

        assertThat(client.server().knownFiles()).isOne();
        assertThat(client.getattr(ROOT).error()).isZero();
    }

    @Test
    void forgetsManyAtOnce() throws IOException {
        Files.createFile(folder.resolve("a"));
        Files.createFile(folder.resolve("b"));
        long a = client.find("a");
        long b = client.find("b");

        client.send(
                FuseLayout.BATCH_FORGET,
                0,
                args(8 + 32)
                        .putInt(2)
                        .putInt(0)
                        .putLong(a)
                        .putLong(1)
                        .putLong(b)
                        .putLong(1));

        assertThat(client.server().knownFiles()).isOne();
        // A count of more than there are is the guest's mistake.
        Reply reply = client.send(FuseLayout.BATCH_FORGET, 0, args(8).putInt(-1));
        assertThat(reply.written()).isZero();
    }

    @Test
    void knowsTwoNamesOfOneFileAsOne() throws IOException {
        Files.createFile(folder.resolve("first"));
        Files.createLink(folder.resolve("second"), folder.resolve("first"));

        assertThat(client.find("first")).isEqualTo(client.find("second"));
    }

    @Test
    void keepsAFilesNumberOverARenameAndARemovalWhileItIsOpen() throws IOException {
        Files.writeString(folder.resolve("file"), "content");
        long node = client.find("file");
        client.handle(client.open(node, FuseClient.O_RDONLY));
        Files.move(folder.resolve("file"), folder.resolve("moved"));
        Files.writeString(folder.resolve("file"), "another");

        assertThat(client.find("moved")).isEqualTo(node);
        assertThat(client.find("file")).isNotEqualTo(node);
        Files.delete(folder.resolve("moved"));
        long handle = client.handle(client.open(node, FuseClient.O_RDONLY));
        assertThat(client.read(node, handle, 0, 100).text()).isEqualTo("content");
    }

    @Test
    void knowsNoMoreFilesThanItsLimit() throws IOException {
        for (int i = 0; i < 8; i++) {
            Files.createFile(folder.resolve("f" + i));
        }
        List<Long> nodes = new ArrayList<>();
        for (int i = 0; i < 7; i++) {
            nodes.add(client.find("f" + i));
        }

        assertThat(client.lookup(ROOT, "f7").error()).isEqualTo(Errno.ENFILE);
        assertThat(client.lookup(ROOT, "f0").error()).isZero();
        assertThat(client.mkdir(ROOT, "new", 0755).error()).isEqualTo(Errno.ENFILE);
        assertThat(folder.resolve("new")).doesNotExist();
        client.forget(nodes.get(3), 1);
        assertThat(client.lookup(ROOT, "f7").error()).isZero();
    }

    @Test
    void opensNoMoreFilesThanItsLimit() throws IOException {
        Files.createFile(folder.resolve("file"));
        long node = client.find("file");
        long first = client.handle(client.open(node, FuseClient.O_RDONLY));
        for (int i = 0; i < 3; i++) {
            client.handle(client.open(node, FuseClient.O_RDONLY));
        }

        assertThat(client.open(node, FuseClient.O_RDONLY).error()).isEqualTo(Errno.ENFILE);
        assertThat(client.opendir(ROOT).error()).isEqualTo(Errno.ENFILE);
        assertThat(client.create(ROOT, "new", FuseClient.O_RDWR, 0644).error()).isEqualTo(Errno.ENFILE);
        assertThat(folder.resolve("new")).doesNotExist();
        client.release(node, first);
        assertThat(client.open(node, FuseClient.O_RDONLY).error()).isZero();
    }

    @Test
    void refusesHandlesThatAreNotOpenOrOfTheOtherKind() throws IOException {
        Files.createFile(folder.resolve("file"));
        long node = client.find("file");
        long file = client.handle(client.open(node, FuseClient.O_RDONLY));
        long list = client.handle(client.opendir(ROOT));

        assertThat(client.read(node, list, 0, 10).error()).isEqualTo(Errno.EBADF);
        assertThat(client.readdir(FuseLayout.READDIR, ROOT, file, 0, 1000).error())
                .isEqualTo(Errno.EBADF);
        client.release(node, file);
        assertThat(client.read(node, file, 0, 10).error()).isEqualTo(Errno.EBADF);
        assertThat(client.read(node, -1, 0, 10).error()).isEqualTo(Errno.EBADF);
        assertThat(client.open(ROOT, FuseClient.O_RDONLY).error()).isEqualTo(Errno.EISDIR);
        assertThat(client.opendir(node).error()).isEqualTo(Errno.ENOTDIR);
    }

    @Test
    void endsTheSessionWithAllThatWasOpen() throws IOException {
        Files.createFile(folder.resolve("file"));
        long node = client.find("file");
        client.handle(client.open(node, FuseClient.O_RDONLY));

        client.send(FuseLayout.DESTROY, 0, args(0));

        assertThat(client.server().openFiles()).isZero();
        assertThat(client.server().knownFiles()).isOne();
    }

    @Test
    void refusesMessagesWhoseLengthIsWrong() {
        byte[] header = args(40).putInt(41)
                .putInt(FuseLayout.GETATTR)
                .putLong(9)
                .putLong(ROOT)
                .array();
        assertThat(client.send(header, 200).error()).isEqualTo(Errno.EINVAL);
        header[0] = 39;
        assertThat(client.send(header, 200).error()).isEqualTo(Errno.EINVAL);
        header[0] = 40;
        assertThat(client.send(header, 15).written()).isZero();
        assertThat(client.send(header, 16).error()).isEqualTo(Errno.EINVAL);
        assertThat(client.send(new byte[39], 200).written()).isZero();
        byte[] huge = new byte[FuseExchange.MESSAGE_BYTES + 1];
        args(40).putInt(huge.length).putInt(FuseLayout.LOOKUP).get(0, huge, 0, 40);
        assertThat(client.send(huge, 200).error()).isEqualTo(Errno.E2BIG);
    }

    @Test
    void tellsWhatCanNotBeShared() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "x", UTF_8);

        assertThatThrownBy(() -> new FuseServer(folder.resolve("missing"), FsOptions.readOnly()))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("missing")
                .hasMessageContaining("ENOENT");
        assertThatThrownBy(() -> new FuseServer(file, FsOptions.readOnly()))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("ENOTDIR");
        assertThatThrownBy(() -> FsOptions.readOnly().withMaxFiles(1)).hasMessageContaining("from 2 to");
    }
}
