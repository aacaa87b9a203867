package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.readable;
import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.testkit.virtio.Buffer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.Pipe;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Bytes between chains and channels. */
class ChainChannelTest {
    /** Where there is memory outside the heap, of {@link #NATIVE_BYTES}; {@link TestQueue#memory} is on the heap. */
    private static final long NATIVE = 1L << 32;

    private static final int NATIVE_BYTES = 0x1_0000;

    private final Arena arena = Arena.ofShared();
    private final GuestMemory memory = TestQueue.memory();
    private final MemoryRegion nativeRegion =
            MemoryRegion.of(GuestAddress.of(NATIVE), arena.allocate(NATIVE_BYTES, 8), MemoryRegion.Access.READ_WRITE);
    private final VirtQueue queue = new VirtQueue(memory, 256);
    private final DescriptorChain chain = new DescriptorChain();

    @TempDir
    Path folder;

    @BeforeEach
    void addMemory() {
        memory.add(nativeRegion);
    }

    @AfterEach
    void closeMemory() {
        arena.close();
    }

    private void pop(Buffer... buffers) {
        QueueLayout layout = TestQueue.layout(256);
        memory.fill(layout.descriptors(), BUFFERS - layout.descriptors(), (byte) 0);
        queue.activate(layout, Set.of());
        TestQueue.of(RingFormat.SPLIT, memory, layout, Set.of()).add(buffers);
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
    }

    private FileChannel file(byte... content) throws IOException {
        Path path = Files.write(folder.resolve("data"), content);
        return FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    private byte[] fileContent() throws IOException {
        return Files.readAllBytes(folder.resolve("data"));
    }

    @Test
    void writesAChainToAFileAndAFileToAChain() throws IOException {
        memory.write(NATIVE, new byte[] {1, 2, 3, 4});
        pop(readable(NATIVE, 2), readable(NATIVE + 2, 2), writable(NATIVE + 0x100, 3), writable(NATIVE + 0x200, 8));

        try (FileChannel file = file()) {
            assertThat(chain.reader().readTo(file, Long.MAX_VALUE)).isEqualTo(4);
            assertThat(chain.reader().remaining()).isZero();
            assertThat(chain.reader().readTo(file, Long.MAX_VALUE)).isZero();
            assertThat(fileContent()).containsExactly(1, 2, 3, 4);

            file.position(0);
            assertThat(chain.writer().writeFrom(file, Long.MAX_VALUE)).isEqualTo(4);
            assertThat(chain.writer().position()).isEqualTo(4);
            assertThat(chain.writer().writeFrom(file, Long.MAX_VALUE)).isEqualTo(-1);
        }
        assertThat(memory.read(NATIVE + 0x100, 3)).containsExactly(1, 2, 3);
        assertThat(memory.readByte(NATIVE + 0x200)).isEqualTo((byte) 4);
    }

    @Test
    void movesNoMoreThanItWasTold() throws IOException {
        memory.write(NATIVE, new byte[] {1, 2, 3, 4});
        pop(readable(NATIVE, 2), readable(NATIVE + 2, 2), writable(NATIVE + 0x100, 3));

        try (FileChannel file = file()) {
            assertThat(chain.reader().readTo(file, 3)).isEqualTo(3);
            assertThat(chain.reader().readTo(file, 0)).isZero();
            assertThat(fileContent()).containsExactly(1, 2, 3);
            file.position(0);
            assertThat(chain.writer().writeFrom(file, 2)).isEqualTo(2);
            assertThat(chain.writer().writeFrom(file, 0)).isZero();
            assertThatIllegalArgumentException().isThrownBy(() -> chain.reader().readTo(file, -1));
        }
        assertThat(memory.read(NATIVE + 0x100, 3)).containsExactly(1, 2, 0);
        assertThat(chain.reader().remaining()).isOne();
        assertThat(chain.writer().position()).isEqualTo(2);
    }

    @Test
    void takesWhatAChannelHasRoomFor() throws IOException {
        pop(readable(NATIVE, NATIVE_BYTES), readable(NATIVE, NATIVE_BYTES), readable(NATIVE, NATIVE_BYTES));
        Pipe pipe = Pipe.open();
        try (Pipe.SinkChannel sink = pipe.sink();
                Pipe.SourceChannel source = pipe.source()) {
            sink.configureBlocking(false);
            source.configureBlocking(false);
            long taken = chain.reader().readTo(sink, Long.MAX_VALUE);

            assertThat(taken).isPositive().isLessThan(3L * NATIVE_BYTES);
            assertThat(chain.reader().position()).isEqualTo(taken);
            assertThat(chain.reader().readTo(sink, 1)).isZero();
            assertThat(chain.reader().position()).isEqualTo(taken);
        }
    }

    @Test
    void findsNothingWhereAChannelHasNothingYet() throws IOException {
        pop(writable(NATIVE, 8));
        Pipe pipe = Pipe.open();
        try (Pipe.SourceChannel source = pipe.source()) {
            try (Pipe.SinkChannel sink = pipe.sink()) {
                source.configureBlocking(false);
                assertThat(chain.writer().writeFrom(source, 8)).isZero();
                assertThat(sink.isOpen()).isTrue();
            }
            assertThat(chain.writer().writeFrom(source, 8)).isEqualTo(-1);
        }
        assertThat(chain.writer().position()).isZero();
    }

    @Test
    void staysWhereItWasWhenTheChannelFails() throws IOException {
        pop(readable(NATIVE, 8), writable(NATIVE + 8, 8));
        FileChannel closed = file();
        closed.close();

        assertThatExceptionOfType(ClosedChannelException.class)
                .isThrownBy(() -> chain.reader().readTo(closed, 8));
        assertThatExceptionOfType(ClosedChannelException.class)
                .isThrownBy(() -> chain.writer().writeFrom(closed, 8));

        assertThat(chain.reader().remaining()).isEqualTo(8);
        assertThat(chain.writer().position()).isZero();
    }

    @Test
    void movesAChainOfManyPiecesInSeveralCalls() throws IOException {
        var pieces = new Buffer[256];
        byte[] content = new byte[256 * 4];
        for (int i = 0; i < content.length; i++) {
            content[i] = (byte) (i * 7);
        }
        // One region between two others: 257 pieces.
        memory.add(MemoryRegion.of(
                GuestAddress.of(NATIVE + NATIVE_BYTES), arena.allocate(64, 8), MemoryRegion.Access.READ_WRITE));
        Arrays.setAll(pieces, i -> writable(i == 9 ? NATIVE + NATIVE_BYTES - 2 : NATIVE + 16L * i, 4));
        pop(pieces);

        try (FileChannel file = file(content)) {
            while (chain.writer().remaining() > 0) {
                assertThat(chain.writer().writeFrom(file, Long.MAX_VALUE)).isPositive();
            }
        }
        for (int i = 0; i < pieces.length; i++) {
            assertThat(memory.read(pieces[i].address(), 4)).isEqualTo(Arrays.copyOfRange(content, 4 * i, 4 * i + 4));
        }
    }

    /** Without a hypervisor guest memory may be on the heap, which channels do not take. */
    @Test
    void copiesMemoryThatIsOnTheHeap() throws IOException {
        memory.write(NATIVE, new byte[] {1, 2});
        memory.write(BUFFERS, new byte[] {3, 4});
        pop(
                readable(NATIVE, 2),
                readable(BUFFERS, 2),
                readable(NATIVE, 1),
                writable(BUFFERS + 8, 2),
                writable(BUFFERS + 16, 1),
                writable(NATIVE + 8, 2));

        try (FileChannel file = file()) {
            while (chain.reader().remaining() > 0) {
                assertThat(chain.reader().readTo(file, Long.MAX_VALUE)).isPositive();
            }
            assertThat(fileContent()).containsExactly(1, 2, 3, 4, 1);
            file.position(0);
            while (chain.writer().remaining() > 0) {
                assertThat(chain.writer().writeFrom(file, Long.MAX_VALUE)).isPositive();
            }
        }
        assertThat(memory.read(BUFFERS + 8, 2)).containsExactly(1, 2);
        assertThat(memory.readByte(BUFFERS + 16)).isEqualTo((byte) 3);
        assertThat(memory.read(NATIVE + 8, 2)).containsExactly(4, 1);
    }

    @Test
    void marksPagesDirtyThatAChannelFilled() throws IOException {
        pop(writable(NATIVE, 0x1000), writable(NATIVE + 0x2000, 0x1000), writable(NATIVE + 0x4000, 0x1000));
        nativeRegion.startHostDirtyTracking();

        try (FileChannel file = file(new byte[0x1001])) {
            assertThat(chain.writer().writeFrom(file, Long.MAX_VALUE)).isEqualTo(0x1001);
        }
        assertThat(nativeRegion.takeHostDirtyPages().count()).isEqualTo(2);
    }

    @Test
    void showsPiecesInOrderUntilItIsToldToStop() {
        memory.add(MemoryRegion.of(
                GuestAddress.of(NATIVE + NATIVE_BYTES), arena.allocate(64, 8), MemoryRegion.Access.READ_WRITE));
        pop(readable(NATIVE, 16), readable(NATIVE + NATIVE_BYTES - 4, 8), readable(BUFFERS, 8));
        chain.reader().skip(4);
        List<String> seen = new ArrayList<>();

        chain.reader()
                .forEachPart(24, (region, offset, length) -> seen.add(region.base() + "+" + offset + ":" + length));

        assertThat(seen).containsExactly("0x100000000+4:12", "0x100000000+65532:4", "0x100010000+0:4", "0x0+65536:4");
        assertThat(chain.reader().position()).isEqualTo(4);
        seen.clear();
        chain.reader().forEachPart(24, (region, offset, length) -> {
            seen.add("one");
            return false;
        });
        assertThat(seen).containsExactly("one");
    }
}
