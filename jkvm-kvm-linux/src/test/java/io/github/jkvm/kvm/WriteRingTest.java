package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_COALESCED_MMIO;
import static io.github.jkvm.kvm.layout.MemoryStructs.KVM_COALESCED_MMIO_RING;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.ExitHandler;
import io.github.jkvm.HypervisorException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class WriteRingTest {
    private final MemorySegment memory = Arena.ofAuto().allocate(WriteRing.SIZE, Long.BYTES);
    private final WriteRing ring = new WriteRing(memory);
    private final List<String> taken = new ArrayList<>();

    /** Notes what it is handed. */
    private class Notes implements ExitHandler {
        @Override
        public long portIn(int port, int size) {
            throw new AssertionError("nothing reads");
        }

        @Override
        public void portOut(int port, int size, long value) {
            taken.add("port %x/%d=%x".formatted(port, size, value));
        }

        @Override
        public long mmioRead(long address, int size) {
            throw new AssertionError("nothing reads");
        }

        @Override
        public void mmioWrite(long address, int size, long value) {
            taken.add("mmio %x/%d=%x".formatted(address, size, value));
        }
    }

    private void first(int index) {
        memory.set(JAVA_INT, KVM_COALESCED_MMIO_RING.offset("first"), index);
    }

    private void last(int index) {
        memory.set(JAVA_INT, KVM_COALESCED_MMIO_RING.offset("last"), index);
    }

    private int first() {
        return memory.get(JAVA_INT, KVM_COALESCED_MMIO_RING.offset("first"));
    }

    private void entry(int index, long address, int length, int pio, long data) {
        long at = KVM_COALESCED_MMIO_RING.offset("coalesced_mmio") + index * KVM_COALESCED_MMIO.size();
        memory.set(JAVA_LONG, at + KVM_COALESCED_MMIO.offset("phys_addr"), address);
        memory.set(JAVA_INT, at + KVM_COALESCED_MMIO.offset("len"), length);
        memory.set(JAVA_INT, at + KVM_COALESCED_MMIO.offset("pio"), pio);
        memory.set(JAVA_LONG, at + KVM_COALESCED_MMIO.offset("data"), data);
    }

    @Test
    void hasTheKernelsNumberOfEntries() {
        // KVM_COALESCED_MMIO_MAX of linux/kvm.h with pages of 4096 bytes: (4096 - 8) / 24
        assertThat(WriteRing.CAPACITY).isEqualTo(170);
    }

    @Test
    void handsOverWritesInOrderAcrossTheEndOfTheRing() {
        first(168);
        last(1);
        entry(168, 0xD000_0000L, 4, 0, 0x1122_3344_5566_7788L);
        entry(169, 0x3F8, 1, 1, 0xFFFF_FF41L);
        entry(0, 0xD000_0008L, 8, 0, -1);

        assertThat(ring.drain(new Notes())).isEqualTo(3);
        assertThat(taken)
                .containsExactly("mmio d0000000/4=55667788", "port 3f8/1=41", "mmio d0000008/8=ffffffffffffffff");
        assertThat(first()).isEqualTo(1);
        assertThat(ring.drain(new Notes())).isZero();
    }

    @Test
    void takesAWriteWhoseHandlerThrowsOutOfTheRing() {
        last(2);
        entry(0, 0x10, 1, 1, 1);
        entry(1, 0x10, 1, 1, 2);

        assertThatThrownBy(() -> ring.drain(new Notes() {
                    @Override
                    public void portOut(int port, int size, long value) {
                        throw new ArithmeticException("thrown by a test");
                    }
                }))
                .isInstanceOf(ArithmeticException.class);
        assertThat(ring.drain(new Notes())).isEqualTo(1);
        assertThat(taken).containsExactly("port 10/1=2");
    }

    @Test
    void refusesToBeDrainedByItsHandler() {
        last(1);
        entry(0, 0x10, 1, 1, 1);

        assertThatThrownBy(() -> ring.drain(new Notes() {
                    @Override
                    public void portOut(int port, int size, long value) {
                        ring.drain(this);
                    }
                }))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("drained by its own handler");
    }

    @Property
    void neverLeavesTheRingWhateverIsInIt(@ForAll int first, @ForAll int last, @ForAll int length) {
        first(first);
        last(last);
        IntStream.range(0, WriteRing.CAPACITY).forEach(i -> entry(i, i, length, i % 2, i));
        boolean good = first >= 0 && first < WriteRing.CAPACITY && last >= 0 && last < WriteRing.CAPACITY;

        if (good && (first == last || (length >= 1 && length <= 8))) {
            assertThat(ring.drain(new Notes())).isEqualTo(Math.floorMod(last - first, WriteRing.CAPACITY));
        } else {
            assertThatThrownBy(() -> ring.drain(new Notes())).isInstanceOf(HypervisorException.class);
        }
    }
}
