package io.github.jkvm.testkit.virtio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.MemoryRegion;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** What the driver writes, byte for byte as the specification has it; the test plays the device by hand. */
class DriverQueueTest {
    private static final QueueAreas AREAS = QueueAreas.at(0x1000, 4);

    private final GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, 0x1_0000));

    private String bytes(long address, int length) {
        return HexFormat.of().formatHex(memory.read(address, length));
    }

    /** Virtio 1.2, 2.7.5: le64 addr, le32 len, le16 flags, le16 next; 2.7.6: le16 flags, le16 idx, le16 ring[]. */
    @Test
    void writesASplitChain() {
        DriverQueue queue = DriverQueue.of(memory, AREAS, 0);

        assertThat(queue.add(Buffer.readable(0x1122_3344, 5), Buffer.writable(0x8000, 0x200)))
                .isZero();

        assertThat(bytes(AREAS.descriptors(), 32))
                .isEqualTo("4433221100000000" + "05000000" + "0100" + "0100" + "0080000000000000" + "00020000" + "0200"
                        + "0000");
        assertThat(bytes(AREAS.driver(), 6)).isEqualTo("0000" + "0100" + "0000");
        assertThat(queue.freeDescriptors()).isEqualTo(2);
        assertThat(queue.takeUsed()).isEmpty();
    }

    /** Virtio 1.2, 2.7.8: le16 flags, le16 idx, then le32 id and le32 len. */
    @Test
    void takesAUsedSplitChain() {
        DriverQueue queue = DriverQueue.of(memory, AREAS, 0);
        int id = queue.add(Buffer.writable(0x8000, 0x200));

        memory.write(AREAS.device(), HexFormat.of().parseHex("0000" + "0100" + "00000000" + "34010000"));

        assertThat(queue.takeUsed()).contains(new Used(id, 0x134));
        assertThat(queue.takeUsed()).isEmpty();
        assertThat(queue.freeDescriptors()).isEqualTo(4);
    }

    /** Virtio 1.2, 2.8.13: le64 addr, le32 len, le16 id, le16 flags; 2.8.1: AVAIL is bit 7, USED is bit 15, and they differ from each other. */
    @Test
    void writesAPackedChain() {
        DriverQueue queue = DriverQueue.of(memory, AREAS, RingFeatures.RING_PACKED);

        assertThat(queue.add(Buffer.readable(0x1122_3344, 5), Buffer.writable(0x8000, 0x200)))
                .isEqualTo(3);

        assertThat(bytes(AREAS.descriptors(), 10)).isEqualTo("4433221100000000" + "0500");
        assertThat(bytes(AREAS.descriptor(0) + 14, 2)).as("flags of the first").isEqualTo("8100");
        assertThat(bytes(AREAS.descriptor(1), 16)).isEqualTo("0080000000000000" + "00020000" + "0300" + "8200");
    }

    /** Virtio 1.2, 2.8.4: the device writes id, len and flags of the first descriptor; 2.8.1: in its first lap both bits are 1. */
    @Test
    void takesUsedPackedChainsAroundTheRing() {
        DriverQueue queue = DriverQueue.of(memory, AREAS, RingFeatures.RING_PACKED);
        int slot = 0;
        boolean wrap = true;
        for (int i = 0; i < 20; i++) {
            int id = queue.add(Buffer.writable(0x8000, 9), Buffer.writable(0x8000, 9), Buffer.writable(0x8000, 9));
            memory.writeInt(AREAS.descriptor(slot) + 8, 17);
            memory.writeShort(AREAS.descriptor(slot) + 12, (short) id);
            assertThat(queue.takeUsed()).isEmpty();
            memory.writeShort(AREAS.descriptor(slot) + 14, (short) (wrap ? 0x8082 : 0x0002));

            assertThat(queue.takeUsed()).contains(new Used(id, 17));

            slot += 3;
            if (slot >= 4) {
                slot -= 4;
                wrap = !wrap;
            }
        }
    }

    /** Virtio 1.2, 2.7.5.3: a table of descriptors anywhere in memory, whose next fields are indexes of the table. */
    @Test
    void writesAnIndirectTable() {
        DriverQueue queue =
                DriverQueue.of(memory, AREAS, RingFeatures.INDIRECT_DESC).indirectTablesAt(0x9000);

        queue.addIndirect(Buffer.readable(0x8000, 1), Buffer.writable(0x8100, 2));

        assertThat(bytes(AREAS.descriptors(), 16)).isEqualTo("0090000000000000" + "20000000" + "0400" + "0000");
        assertThat(bytes(0x9000, 32))
                .isEqualTo("0080000000000000" + "01000000" + "0100" + "0100" + "0081000000000000" + "02000000" + "0200"
                        + "0000");
        assertThat(queue.freeDescriptors()).isEqualTo(3);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> queue.addIndirect(new Buffer[17]))
                .withMessageContaining("room for 16");
    }

    /** Virtio 1.2, 2.7.10.1: with VIRTIO_F_EVENT_IDX the device is notified if avail_event was passed. */
    @Test
    void notifiesAtTheIndexThatTheDeviceAskedFor() {
        DriverQueue queue = DriverQueue.of(memory, AREAS, RingFeatures.EVENT_IDX);
        memory.writeShort(AREAS.availableEvent(), (short) 1);
        queue.add(Buffer.writable(0x8000, 1));
        assertThat(queue.kickNeeded()).isFalse();
        queue.add(Buffer.writable(0x8000, 1));
        assertThat(queue.kickNeeded()).isTrue();
        queue.add(Buffer.writable(0x8000, 1));
        assertThat(queue.kickNeeded()).isFalse();
    }

    @Test
    void refusesChainsOutOfOrder() {
        DriverQueue queue = DriverQueue.of(memory, AREAS, RingFeatures.IN_ORDER);
        queue.add(Buffer.writable(0x8000, 1));
        int second = queue.add(Buffer.writable(0x8000, 1));
        memory.writeInt(AREAS.usedEntry(0), second);
        memory.writeShort(AREAS.usedIndex(), (short) 1);

        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(queue::takeUsed)
                .withMessageContaining("used chain 1 before chain 0");
    }
}
