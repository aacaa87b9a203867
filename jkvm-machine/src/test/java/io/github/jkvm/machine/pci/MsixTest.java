package io.github.jkvm.machine.pci;

import static io.github.jkvm.machine.pci.TestBoard.BAR4;
import static io.github.jkvm.machine.pci.TestBoard.MSIX;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.DeviceState;
import io.github.jkvm.HostFile;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MessageInterrupt;
import io.github.jkvm.PciSlot;
import org.junit.jupiter.api.Test;

/** Clauses are those of the PCI Local Bus Specification, revision 3.0. */
class MsixTest {
    private static final int VECTORS = 3;
    private static final int ENABLE = 1 << 15;
    private static final int MASK_ALL = 1 << 14;
    private static final long APIC = 0xFEE0_0000L;

    private final TestBoard board = new TestBoard();
    private final PciSlot slot = board.plug(new TestFunction().withVectors(VECTORS));
    private final int capability = board.capability(1, MSIX);
    private final long table = board.barAddress(1, BAR4);

    private void control(int value) {
        board.write(1, capability + 2, 2, value);
    }

    private void write(int vector, int word, long value) {
        board.vm.bus.mmioWrite(table + vector * 16L + word * 4L, 4, value);
    }

    private long read(long offset, int size) {
        return TestBoard.cut(board.vm.bus.mmioRead(table + offset, size), size);
    }

    private long pending() {
        return read(board.read(1, capability + 8, 4) & ~7, 8);
    }

    /** What a driver does: the message while the vector is masked, then the mask. */
    private void program(int vector, int data) {
        write(vector, 3, 1);
        write(vector, 0, APIC);
        write(vector, 1, 0);
        write(vector, 2, data);
        write(vector, 3, 0);
    }

    private TestVm.Message interrupt(int vector) {
        return board.vm.interrupts.get(vector);
    }

    /** 6.8.2.3 to 6.8.2.5. */
    @Test
    void theCapabilityTellsWhereTheTableIs() {
        assertThat(board.read(1, capability + 2, 2))
                .as("disabled; size less one")
                .isEqualTo(VECTORS - 1);
        assertThat(board.read(1, capability + 4, 4))
                .as("table at the start of BAR 4")
                .isEqualTo(4);
        assertThat(board.read(1, capability + 8, 4))
                .as("pending bits in its upper half")
                .isEqualTo(0x804);
        control(-1);
        assertThat(board.read(1, capability + 2, 2)).isEqualTo(ENABLE | MASK_ALL | VECTORS - 1);
        board.write(1, capability + 4, 8, -1);
        assertThat(board.read(1, capability + 4, 4)).isEqualTo(4);
    }

    @Test
    void theRangeGrowsWithTheVectors() {
        for (int vectors : new int[] {1, 128, 129, 2048}) {
            var other = new TestBoard();
            other.plug(new TestFunction().withVectors(vectors));
            other.setBar(1, BAR4, -1);
            long size = -other.barAddress(1, BAR4);
            int at = other.capability(1, MSIX);
            assertThat(size).isEqualTo(vectors <= 128 ? 4096 : vectors == 129 ? 8192 : 65536);
            assertThat(other.read(1, at + 2, 2)).isEqualTo(vectors - 1);
            assertThat(other.read(1, at + 8, 4)).isEqualTo(size / 2 + 4);
        }
    }

    /** 6.8.2.9: the mask bit of every vector is set after reset. */
    @Test
    void vectorsAreMaskedAtFirst() {
        for (int vector = 0; vector < VECTORS; vector++) {
            assertThat(read(vector * 16L + 12, 4)).isEqualTo(1);
        }
        assertThat(slot.vectorsEnabled()).isFalse();
        control(ENABLE);
        assertThat(slot.vectorsEnabled()).isTrue();
        slot.signal(0);
        assertThat(interrupt(0).signals).isZero();
    }

    @Test
    void aProgrammedVectorSendsItsMessage() {
        control(ENABLE);
        program(1, 0x41);
        slot.signal(1);
        slot.signal(1);
        assertThat(interrupt(1).messages).as("the host is told once").containsExactly("fee00000=41");
        assertThat(interrupt(1).signals).isEqualTo(2);
        assertThat(interrupt(0).messages).isEmpty();
        program(1, 0x41);
        assertThat(interrupt(1).messages)
                .as("the same message again is no news")
                .hasSize(1);
        program(1, 0x52);
        assertThat(interrupt(1).messages).containsExactly("fee00000=41", "fee00000=52");
    }

    /** 6.8.2.9: "If a masked vector's pending bit is set when the vector is unmasked, the function must schedule sending the message". */
    @Test
    void aMaskedVectorStaysPendingAndIsSentOnceWhenUnmasked() {
        control(ENABLE);
        program(0, 0x30);
        write(0, 3, 1);
        slot.signal(0);
        slot.signal(0);
        assertThat(interrupt(0).signals).isZero();
        assertThat(pending()).isEqualTo(0b001);
        write(0, 3, 0);
        assertThat(interrupt(0).signals).isEqualTo(1);
        assertThat(pending()).isZero();
        write(0, 3, 0);
        assertThat(interrupt(0).signals).isEqualTo(1);
    }

    /** A masked vector sends nothing (6.8.2.9), so that its event must not reach the guest by itself. */
    @Test
    void anEventSendsAVectorByItselfWhileTheVectorMay() throws Exception {
        var event = new HostFile() {};
        MessageInterrupt.Attachment attachment = slot.attach(1, event);
        assertThat(interrupt(1).attached).isEmpty();
        control(ENABLE);
        assertThat(interrupt(1).attached).as("no message yet").isEmpty();
        program(1, 0x41);
        assertThat(interrupt(1).attached).containsExactly(event);
        write(1, 3, 1);
        assertThat(interrupt(1).attached).as("masked").isEmpty();
        program(1, 0x42);
        assertThat(interrupt(1).attached).containsExactly(event);
        control(ENABLE | MASK_ALL);
        assertThat(interrupt(1).attached).as("function masked").isEmpty();
        control(ENABLE);
        assertThat(interrupt(1).attached).containsExactly(event);
        attachment.close();
        attachment.close();
        assertThat(interrupt(1).attached).isEmpty();
        slot.attach(1, event);
        slot.close();
        assertThat(interrupt(1).attached).isEmpty();
        slot.attach(9, event).close();
    }

    /** 6.8.2.3: "Function Mask: If 1, all of the vectors associated with the function are masked, regardless of their per-vector Mask bit". */
    @Test
    void theFunctionMaskMasksAll() {
        control(ENABLE | MASK_ALL);
        program(0, 0x30);
        program(2, 0x32);
        slot.signal(2);
        slot.signal(0);
        assertThat(pending()).isEqualTo(0b101);
        control(ENABLE);
        assertThat(interrupt(0).signals).isEqualTo(1);
        assertThat(interrupt(1).signals).isZero();
        assertThat(interrupt(2).signals).isEqualTo(1);
        assertThat(interrupt(2).messages).containsExactly("fee00000=32");
    }

    @Test
    void aDisabledFunctionSendsNothingAndItsPinIsHeard() {
        program(0, 0x30);
        slot.pin().raise();
        slot.signal(0);
        assertThat(interrupt(0).signals).isZero();
        assertThat(pending()).isZero();
        TestVm.Line line = board.vm.lines.get(slot.pin().gsi());
        assertThat(line.high).isTrue();
        control(ENABLE);
        assertThat(line.high).as("6.8.2: MSI-X enabled prohibits the pin").isFalse();
    }

    /** 6.8.2: "must use aligned DWORD or aligned QWORD transactions; otherwise, the result is undefined": here, nothing. */
    @Test
    void oddAccessesAreHarmless() {
        board.vm.bus.mmioWrite(table, 8, 0x0000_0001_FEE0_1007L);
        assertThat(read(0, 8)).as("bits 0 and 1 of the address are zero").isEqualTo(0x0000_0001_FEE0_1004L);
        board.vm.bus.mmioWrite(table, 1, 0x55);
        board.vm.bus.mmioWrite(table, 2, 0x55);
        board.vm.bus.mmioWrite(table + 2, 4, 0x55);
        board.vm.bus.mmioWrite(table + 4, 8, -1);
        assertThat(read(0, 8)).isEqualTo(0x0000_0001_FEE0_1004L);
        assertThat(read(1, 1)).isEqualTo(0x10);
        assertThat(read(2, 3)).isEqualTo(0x01_FEE0);
        board.vm.bus.mmioWrite(table + VECTORS * 16, 4, -1);
        assertThat(read(VECTORS * 16, 4)).as("behind the table").isZero();
        board.vm.bus.mmioWrite(table + 0x800, 8, -1);
        assertThat(pending()).as("pending bits are read-only").isZero();
        assertThat(read(0xFF8, 8)).isZero();
        write(0, 3, -1);
        assertThat(read(12, 4)).as("reserved bits of vector control").isEqualTo(1);
        slot.signal(-1);
        slot.signal(VECTORS);
    }

    @Test
    void aMessageThatTheHostRefusesIsLostAndNotThrown() {
        control(ENABLE);
        board.vm.refusesMessages = true;
        program(0, 0x30);
        slot.signal(0);
        assertThat(interrupt(0).messages).isEmpty();
        board.vm.refusesMessages = false;
        program(0, 0x30);
        assertThat(interrupt(0).messages).containsExactly("fee00000=30");
    }

    @Test
    void closingGivesTheInterruptsBack() {
        control(ENABLE);
        program(0, 0x30);
        slot.close();
        slot.signal(0);
        assertThat(board.vm.interrupts).allMatch(interrupt -> interrupt.closed);
        assertThat(interrupt(0).signals).isZero();

        board.vm.limit = 2;
        assertThatThrownBy(() -> board.plug(new TestFunction().withVectors(3)))
                .isInstanceOf(HypervisorException.class)
                .hasMessage("no interrupt number is left");
        assertThat(board.vm.interrupts).allMatch(interrupt -> interrupt.closed);
        assertThat(board.plug(new TestFunction().withVectors(2)).device()).isEqualTo(1);
    }

    @Test
    void vectorsAreSavedAndRestored() {
        control(ENABLE);
        program(0, 0x30);
        program(1, 0x31);
        write(1, 3, 1);
        slot.signal(1);
        var state = new DeviceState(1);
        board.host.save(state);

        var other = new TestBoard();
        PciSlot otherSlot = other.plug(new TestFunction().withVectors(VECTORS));
        other.host.restore(DeviceState.decode(state.encode()));
        assertThat(otherSlot.vectorsEnabled()).isTrue();
        otherSlot.signal(0);
        assertThat(other.vm.interrupts.get(0).messages).containsExactly("fee00000=30");
        assertThat(other.vm.interrupts.get(0).signals).isEqualTo(1);
        assertThat(other.vm.interrupts.get(1).signals).as("still masked").isZero();
        other.vm.bus.mmioWrite(table + 16 + 12, 4, 0);
        assertThat(other.vm.interrupts.get(1).messages).containsExactly("fee00000=31");
        assertThat(other.vm.interrupts.get(1).signals).isEqualTo(1);
    }
}
