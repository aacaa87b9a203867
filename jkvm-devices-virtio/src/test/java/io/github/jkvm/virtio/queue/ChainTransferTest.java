package io.github.jkvm.virtio.queue;

import static io.github.jkvm.testkit.virtio.Buffer.readable;
import static io.github.jkvm.testkit.virtio.Buffer.writable;
import static io.github.jkvm.virtio.queue.TestQueue.BUFFERS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.SplitDriverQueue;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Bytes between a chain and the device, however the driver cut the chain (virtio 1.2, 2.7.4.1). */
class ChainTransferTest {
    private final GuestMemory memory = TestQueue.memory();
    private final QueueLayout layout = TestQueue.layout(64);
    private final SplitDriverQueue driver = TestQueue.split(memory, layout, Set.of());
    private final VirtQueue queue = new VirtQueue(memory, 64);
    private final DescriptorChain chain = new DescriptorChain();

    private void pop(Buffer... buffers) {
        driver.add(buffers);
        if (!queue.isActive()) {
            queue.activate(layout, Set.of());
        }
        assertThat(queue.pop(chain)).isEqualTo(PopResult.CHAIN);
    }

    private static MemorySegment bytes(int... values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
        }
        return MemorySegment.ofArray(bytes);
    }

    @Test
    void readsAHeaderThatIsCutAnywhere() {
        memory.write(BUFFERS, new byte[] {1, 2, 3});
        memory.write(BUFFERS + 0x100, new byte[] {4, 5, 6, 7, 8});
        pop(readable(BUFFERS, 3), readable(BUFFERS + 0x100, 5));
        byte[] header = new byte[6];

        assertThat(chain.reader().readExactly(MemorySegment.ofArray(header))).isTrue();

        assertThat(header).containsExactly(1, 2, 3, 4, 5, 6);
        assertThat(chain.reader().position()).isEqualTo(6);
        assertThat(chain.reader().remaining()).isEqualTo(2);
    }

    @Test
    void readsNothingWhenTheChainIsTooShort() {
        pop(readable(BUFFERS, 3), readable(BUFFERS + 0x100, 2));
        byte[] header = {9, 9, 9, 9, 9, 9};

        assertThat(chain.reader().readExactly(MemorySegment.ofArray(header))).isFalse();

        assertThat(header).containsOnly(9);
        assertThat(chain.reader().remaining()).isEqualTo(5);
    }

    @Test
    void readsWhatThereIs() {
        memory.write(BUFFERS, new byte[] {1, 2, 3});
        pop(readable(BUFFERS, 3));
        byte[] target = new byte[8];

        assertThat(chain.reader().read(MemorySegment.ofArray(target))).isEqualTo(3);
        assertThat(target).containsExactly(1, 2, 3, 0, 0, 0, 0, 0);
        assertThat(chain.reader().read(MemorySegment.ofArray(target))).isZero();
    }

    @Test
    void skipsAcrossBuffers() {
        memory.write(BUFFERS + 0x100, new byte[] {4, 5});
        pop(readable(BUFFERS, 3), readable(BUFFERS + 0x100, 2));
        chain.reader().skip(4);
        byte[] last = new byte[1];

        assertThat(chain.reader().readExactly(MemorySegment.ofArray(last))).isTrue();
        assertThat(last).containsExactly(5);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> chain.reader().skip(1))
                .withMessageContaining("count 1")
                .withMessageContaining("0 bytes that remain");
        assertThatIllegalArgumentException().isThrownBy(() -> chain.reader().skip(-1));
    }

    @Test
    void writesAcrossBuffers() {
        pop(readable(BUFFERS, 3), writable(BUFFERS + 0x100, 2), writable(BUFFERS + 0x200, 2));

        assertThat(chain.writer().writeExactly(bytes(1, 2, 3))).isTrue();

        assertThat(chain.writer().position()).isEqualTo(3);
        assertThat(memory.read(BUFFERS + 0x100, 3)).containsExactly(1, 2, 0);
        assertThat(memory.read(BUFFERS + 0x200, 2)).containsExactly(3, 0);
        assertThat(memory.read(BUFFERS, 3)).containsOnly(0);
    }

    @Test
    void writesNothingWhenThereIsNotEnoughRoom() {
        pop(writable(BUFFERS, 2));

        assertThat(chain.writer().writeExactly(bytes(1, 2, 3))).isFalse();
        assertThat(memory.read(BUFFERS, 2)).containsOnly(0);
        assertThat(chain.writer().position()).isZero();
    }

    @Test
    void writesWhatThereIsRoomFor() {
        pop(writable(BUFFERS, 2));

        assertThat(chain.writer().write(bytes(1, 2, 3))).isEqualTo(2);
        assertThat(chain.writer().write(bytes(4))).isZero();
        assertThat(memory.read(BUFFERS, 3)).containsExactly(1, 2, 0);
    }

    @Test
    void writesAStatusAheadOfDataThatIsMissing() {
        pop(writable(BUFFERS, 2), writable(BUFFERS + 0x100, 2));

        assertThat(chain.writer().writeAhead(3, (byte) 7)).isTrue();
        assertThat(chain.writer().writeAhead(4, (byte) 7)).isFalse();
        assertThatIllegalArgumentException().isThrownBy(() -> chain.writer().writeAhead(-1, (byte) 7));

        assertThat(memory.read(BUFFERS + 0x100, 3)).containsExactly(0, 7, 0);
        assertThat(chain.writer().position()).isZero();
    }

    /** Virtio 1.2, 1.4: numbers are little-endian. The driver may cut them in two (2.7.4.1). */
    @ParameterizedTest
    @ValueSource(ints = {1, 3, 5, 9, 14, 15})
    void readsAndWritesNumbersHoweverTheyAreCut(int cut) {
        byte[] header = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, (byte) 0xFF};
        memory.write(BUFFERS, header);
        memory.write(BUFFERS + 0x100, Arrays.copyOfRange(header, cut, 15));
        pop(
                readable(BUFFERS, cut),
                readable(BUFFERS + 0x100, 15 - cut),
                writable(BUFFERS + 0x200, cut),
                writable(BUFFERS + 0x300, 15 - cut));

        assertThat(chain.reader().has(15)).isTrue();
        assertThat(chain.reader().has(16)).isFalse();
        long first = chain.reader().nextLong();
        int second = chain.reader().nextInt();
        short third = chain.reader().nextShort();
        byte last = chain.reader().nextByte();
        assertThat(first).isEqualTo(0x08070605_04030201L);
        assertThat(second).isEqualTo(0x0C0B0A09);
        assertThat(third).isEqualTo((short) 0x0E0D);
        assertThat(last).isEqualTo((byte) -1);
        assertThat(chain.reader().remaining()).isZero();

        assertThat(chain.writer().has(15)).isTrue();
        assertThat(chain.writer().has(16)).isFalse();
        chain.writer().putLong(first);
        chain.writer().putInt(second);
        chain.writer().putShort(third);
        chain.writer().putByte(last);
        assertThat(chain.writer().position()).isEqualTo(15);
        assertThat(memory.read(BUFFERS + 0x200, cut)).isEqualTo(Arrays.copyOf(header, cut));
        assertThat(memory.read(BUFFERS + 0x300, 15 - cut)).isEqualTo(Arrays.copyOfRange(header, cut, 15));
    }

    @Test
    void refusesNumbersThatTheDeviceDidNotAskFor() {
        pop(readable(BUFFERS, 3), writable(BUFFERS + 0x100, 1));

        assertThatIllegalStateException()
                .isThrownBy(() -> chain.reader().nextInt())
                .withMessageContaining("only 3 bytes")
                .withMessageContaining("has(4)");
        assertThatIllegalStateException().isThrownBy(() -> chain.writer().putShort((short) 1));
        assertThat(chain.reader().remaining()).isEqualTo(3);
        assertThat(chain.writer().position()).isZero();
    }

    @Test
    void gathersSegmentsThatLieInGuestMemory() {
        memory.write(BUFFERS, new byte[] {1, 2, 3});
        memory.write(BUFFERS + 0x100, new byte[] {4, 5});
        pop(readable(BUFFERS, 3), readable(BUFFERS + 0x100, 2));
        chain.reader().skip(1);

        List<MemorySegment> segments = chain.reader().segments(3);

        assertThat(segments).extracting(MemorySegment::byteSize).containsExactly(2L, 1L);
        assertThat(segments.getFirst().toArray(ValueLayout.JAVA_BYTE)).containsExactly(2, 3);
        memory.writeByte(BUFFERS + 1, (byte) 9);
        assertThat(segments.getFirst().get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 9);
        assertThat(chain.reader().position()).isOne();
    }

    /** Virtio 1.2, 2.7.5.1: "A device MUST NOT write to a device-readable buffer". */
    @Test
    void givesReadableBuffersAsReadOnlySegments() {
        pop(readable(BUFFERS, 3));

        assertThat(chain.reader().segments(3)).allMatch(MemorySegment::isReadOnly);
        assertThatIllegalArgumentException().isThrownBy(() -> chain.reader().segments(-1));
    }

    @Test
    void splitsABufferThatRunsAcrossRegions() {
        long seam = TestQueue.MEMORY_BYTES;
        memory.add(MemoryRegion.onHeap(GuestAddress.of(seam), 64));
        pop(writable(seam - 2, 4));

        assertThat(chain.writer().segments(Long.MAX_VALUE))
                .extracting(MemorySegment::byteSize)
                .containsExactly(2L, 2L);
        assertThat(chain.writer().writeExactly(bytes(1, 2, 3, 4))).isTrue();
        assertThat(memory.read(seam - 2, 4)).containsExactly(1, 2, 3, 4);
    }

    @Test
    void marksPagesDirtyThatWereWrittenThroughSegments() {
        MemoryRegion region = memory.regions().getFirst();
        pop(writable(BUFFERS, 0x1000), writable(BUFFERS + 0x2000, 0x1000));
        region.startHostDirtyTracking();
        chain.writer().segments(0x1001);

        assertThat(region.takeHostDirtyPages().count()).isZero();
        chain.writer().advance(0x1001);
        assertThat(region.takeHostDirtyPages().count()).isEqualTo(2);
        assertThat(chain.writer().position()).isEqualTo(0x1001);
        assertThatIllegalArgumentException().isThrownBy(() -> chain.writer().advance(0x1000));
    }

    @Test
    void tellsTheProgramThatItTookTheMemoryAway() {
        pop(readable(BUFFERS, 4));
        memory.remove(memory.regions().getFirst());

        assertThatExceptionOfType(io.github.jkvm.GuestMemoryException.class)
                .isThrownBy(() -> chain.reader().read(MemorySegment.ofArray(new byte[4])));
    }

    /** However requests and transfers are cut, the bytes come over whole and in order. */
    @Property(tries = 300)
    void carriesEveryByteHoweverItIsCut(
            @ForAll @Size(min = 1, max = 20) List<@IntRange(max = 50) Integer> cuts,
            @ForAll @Size(min = 1, max = 20) List<@IntRange(min = 1, max = 70) Integer> steps) {
        GuestMemory guest = TestQueue.memory();
        var guestDriver = TestQueue.split(guest, layout, Set.of());
        var device = new VirtQueue(guest, 64);
        device.activate(layout, Set.of());
        var buffers = new Buffer[cuts.size() * 2];
        int total = 0;
        for (int i = 0; i < cuts.size(); i++) {
            int length = cuts.get(i);
            buffers[i] = readable(BUFFERS + 0x100L * i, length);
            buffers[cuts.size() + i] = writable(BUFFERS + 0x8000 + 0x100L * i, length);
            for (int j = 0; j < length; j++) {
                guest.writeByte(BUFFERS + 0x100L * i + j, (byte) (total + j + 1));
            }
            total += length;
        }
        guestDriver.add(buffers);
        assertThat(device.pop(chain)).isEqualTo(PopResult.CHAIN);
        assertThat(chain.readableBytes()).isEqualTo(total);

        for (int i = 0; chain.reader().remaining() > 0; i++) {
            MemorySegment step = MemorySegment.ofArray(new byte[steps.get(i % steps.size())]);
            long count = chain.reader().read(step);
            assertThat(chain.writer().writeExactly(step.asSlice(0, count))).isTrue();
        }

        assertThat(chain.writer().remaining()).isZero();
        int seen = 0;
        for (int i = 0; i < cuts.size(); i++) {
            for (int j = 0; j < cuts.get(i); j++) {
                assertThat(guest.readByte(BUFFERS + 0x8000 + 0x100L * i + j)).isEqualTo((byte) ++seen);
            }
        }
        assertThat(device.complete(chain, total)).isTrue();
    }
}
