package io.github.jkvm.machine.pci;

import static io.github.jkvm.machine.pci.TestBoard.BAR0;
import static io.github.jkvm.machine.pci.TestBoard.BAR4;
import static io.github.jkvm.machine.pci.TestBoard.COMMAND;
import static io.github.jkvm.machine.pci.TestBoard.HIGH_WINDOW;
import static io.github.jkvm.machine.pci.TestBoard.STATUS;
import static io.github.jkvm.machine.pci.TestBoard.WINDOW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.DeviceState;
import io.github.jkvm.IoHandler;
import io.github.jkvm.PciCapability;
import io.github.jkvm.PciSlot;
import io.github.jkvm.machine.device.GuestRequest;
import io.github.jkvm.machine.device.ResetControl;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** Clauses are those of the PCI Local Bus Specification, revision 3.0. */
class PciHostTest {
    private static final int ADDRESS = 0xCF8;
    private static final int DATA = 0xCFC;
    private static final int ENABLE = 1 << 31;
    private static final int MEMORY = 1 << 1;
    private static final int PIN_DISABLED = 1 << 10;
    private static final int PIN_ASSERTED = 1 << 3;

    private final TestBoard board = new TestBoard();

    /** What Linux does to find out whether there is configuration mechanism #1 (arch/x86/pci/direct.c, pci_check_type1). */
    @Test
    void linuxFindsConfigurationMechanismOne() {
        board.out(0xCFB, 1, 1);
        long before = board.in(ADDRESS, 4);
        board.out(ADDRESS, 4, ENABLE);
        assertThat(board.in(ADDRESS, 4)).isEqualTo(0x8000_0000L);
        assertThat(board.in(DATA + 2, 2)).as("device id of the bridge").isEqualTo(0x0008);
        board.out(ADDRESS, 4, before);
        assertThat(board.in(ADDRESS, 4)).isZero();
        assertThat(board.in(DATA, 4)).as("not enabled").isEqualTo(0xFFFF_FFFFL);
    }

    @Test
    void bothMechanismsShowTheSameFunctions() {
        board.plug(new TestFunction().withBar(0x4000));
        board.out(ADDRESS, 4, ENABLE | 1 << 11);
        assertThat(board.in(DATA, 4)).isEqualTo(0x1042_1AF4).isEqualTo(board.read(1, 0, 4));
        board.out(ADDRESS, 4, ENABLE | 1 << 11 | 0x2C);
        assertThat(board.in(DATA, 2)).isEqualTo(0x1AF4);
        assertThat(board.in(DATA + 2, 2)).isEqualTo(0x1100);
        assertThat(board.in(DATA + 3, 1)).isEqualTo(0x11);
        assertThat(board.read(1, 0x08, 4)).as("class code and revision").isEqualTo(0x0180_0001);
        assertThat(board.read(1, 0x0E, 1)).as("header type: one function").isZero();
        assertThat(board.read(0, 0x0A, 2)).as("host bridge").isEqualTo(0x0600);
        assertThat(board.read(1, 0, 8)).isEqualTo(board.read(1, 4, 4) << 32 | 0x1042_1AF4);
    }

    /** 3.2.2.3.4: a read of a function that is not there gives all ones, and a write is dropped. */
    @Test
    void whatIsNotThereReadsAsAllOnes() {
        board.plug(new TestFunction());
        for (int address : new int[] {2 << 11, 1 << 11 | 1 << 8, 1 << 16, 1 << 16 | 1 << 11}) {
            board.out(ADDRESS, 4, ENABLE | address);
            board.out(DATA, 4, 0);
            assertThat(board.in(DATA, 4)).isEqualTo(0xFFFF_FFFFL);
        }
        assertThat(board.read(1, 1 << 12, 4)).as("second function").isEqualTo(0xFFFF_FFFFL);
        assertThat(board.read(31, 0, 4)).isEqualTo(0xFFFF_FFFFL);
    }

    /** PCI Express Base Specification 4.0, 7.6: "absence of any Extended Capabilities is required to be indicated by ... 0000h". */
    @Test
    void extendedConfigurationSpaceIsEmpty() {
        board.plug(new TestFunction());
        assertThat(board.read(1, 0x100, 4)).isZero();
        assertThat(board.read(1, 0xFFC, 4)).isZero();
        board.write(1, 0x100, 4, -1);
        assertThat(board.read(1, 0x100, 4)).isZero();
    }

    @Test
    void resetControlIsAmongThePorts() {
        board.out(ADDRESS, 4, 0x8000_0600L);
        assertThat(board.requests).as("a wide write there is of the address").isEmpty();
        board.out(ResetControl.PORT, 1, 2);
        assertThat(board.in(ResetControl.PORT, 1)).isEqualTo(2);
        board.out(ResetControl.PORT, 1, ResetControl.RESET_VALUE);
        assertThat(board.requests).containsExactly(new GuestRequest.Reset("reset-control"));
        assertThat(board.in(ADDRESS, 4)).isEqualTo(0x8000_0600L);
    }

    @Test
    void readOnlyFieldsStay() {
        board.plug(new TestFunction().withBar(0x1000).withVectors(2));
        for (int register : new int[] {0, 2, 8, 9, 0x0E, 0x28, 0x2C, 0x2E, 0x30, 0x34, 0x3D}) {
            long before = board.read(1, register, 2);
            board.write(1, register, 2, ~before);
            assertThat(board.read(1, register, 1)).as("register 0x%x", register).isEqualTo(before & 0xFF);
        }
    }

    /** 6.2.5.1: "software saves the original value..., writes all 1's to the register, then reads it back". */
    @Test
    void guestLearnsTheSizeOfRegistersAsLinuxDoes() {
        board.plug(new TestFunction().withBar(0x4000).withBar(0x20));
        assertThat(board.read(1, BAR0, 4) & 0xF)
                .as("64 bits of memory, not prefetchable")
                .isEqualTo(0b0100);
        long original = board.barAddress(1, BAR0);
        board.write(1, COMMAND, 2, 0);
        board.setBar(1, BAR0, -1);
        assertThat(board.barAddress(1, BAR0)).isEqualTo(-0x4000L);
        board.setBar(1, BAR0, original);
        board.setBar(1, BAR0 + 8, -1);
        assertThat(board.barAddress(1, BAR0 + 8)).isEqualTo(-0x20L);
        board.write(1, 0x30, 4, -1);
        assertThat(board.read(1, 0x30, 4)).as("no expansion ROM").isZero();
        board.setBar(1, BAR4, -1);
        assertThat(board.barAddress(1, BAR4)).as("no vectors, no BAR for them").isZero();
    }

    @Test
    void registersArePlacedLikeFirmwareDoesAndMoveWithTheBar() {
        var function = new TestFunction().withBar(0x4000);
        board.plug(function);
        assertThat(board.barAddress(1, BAR0)).isEqualTo(WINDOW);
        assertThat(function.seen).containsExactly("bar0 at e8000000");
        assertThat(board.vm.bus.mmioRead(WINDOW + 4, 4)).isEqualTo(0x4444_4444_4444_4444L);
        function.seen.clear();

        board.write(1, COMMAND, 2, 0);
        assertThat(board.vm.bus.mmioRead(WINDOW, 4)).isEqualTo(IoHandler.OPEN_BUS);
        board.setBar(1, BAR0, HIGH_WINDOW + 0x8000);
        assertThat(function.seen).containsExactly("bar0 removed");
        board.write(1, COMMAND, 2, MEMORY);
        board.vm.bus.mmioWrite(HIGH_WINDOW + 0x8002, 2, 7);
        assertThat(function.seen).containsExactly("bar0 removed", "bar0 at 1000008000", "bar0 writes 2/2=7");
    }

    @Test
    void placesAreAlignedAndDoNotOverlapAndGoOnInTheNextWindow() {
        board.plug(new TestFunction().withBar(0x1000).withBar(0x40_0000));
        assertThat(board.barAddress(1, BAR0)).isEqualTo(WINDOW);
        assertThat(board.barAddress(1, BAR0 + 8)).isEqualTo(WINDOW + 0x40_0000);
        board.plug(new TestFunction().withBar(0x100_0000));
        assertThat(board.barAddress(2, BAR0)).isEqualTo(HIGH_WINDOW);
        var tooBig = new TestFunction().withBar(1L << 33);
        assertThatThrownBy(() -> board.plug(tooBig))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("no room for 8589934592 bytes of PCI registers");
        board.plug(new TestFunction().withBar(0x1000));
        assertThat(board.barAddress(3, BAR0)).as("refusing cost nothing").isEqualTo(WINDOW + 0x80_0000);
    }

    @Test
    void registersOnTopOfMemoryOrOfOthersDoNotAnswer() {
        var first = new TestFunction().withBar(0x1000);
        var second = new TestFunction().withBar(0x1000);
        board.plug(first);
        board.plug(second);
        second.seen.clear();
        board.setBar(2, BAR0, WINDOW);
        board.setBar(2, BAR0, 0x1000);
        board.setBar(2, BAR0, TestBoard.ECAM);
        board.setBar(2, BAR0, -1);
        assertThat(second.seen)
                .as("only where nothing else is, the end of the address space included")
                .containsExactly("bar0 removed", "bar0 at fffff000", "bar0 removed", "bar0 at fffffffffffff000");
        board.setBar(2, BAR0, WINDOW + 0x10000);
        assertThat(second.seen.getLast()).isEqualTo("bar0 at e8010000");
        board.vm.bus.mmioRead(WINDOW, 1);
        assertThat(first.seen).containsExactly("bar0 at e8000000", "bar0 reads 0/1");
    }

    /** 6.7: the list of capabilities ends in 0, and the status register tells that there is one. */
    @Test
    void capabilitiesAreAListAndAnswerForThemselves() {
        var function = new TestFunction();
        function.with(PciCapability.constant(PciCapability.VENDOR_SPECIFIC, new byte[] {5, 1, 2}))
                .with(new PciCapability(0x0A, 18, function.noting("own")))
                .withVectors(1);
        board.plug(function);
        assertThat(board.read(1, STATUS, 2)).isEqualTo(0x10);
        assertThat(board.read(0, STATUS, 2)).as("the bridge has none").isZero();
        int constant = board.capability(1, PciCapability.VENDOR_SPECIFIC);
        assertThat(board.read(1, constant + 2, 2)).isEqualTo(0x0105);
        board.write(1, constant + 2, 2, 0xFFFF);
        assertThat(board.read(1, constant, 4)).isEqualTo(0x0105_0009 | board.read(1, constant + 1, 1) << 8);
        int own = board.capability(1, 0x0A);
        board.write(1, own + 16, 4, 0x1234_5678);
        assertThat(board.read(1, own + 16, 4)).isEqualTo(0xEEEE_EEEEL);
        assertThat(function.seen).containsExactly("own writes 14/4=12345678", "own reads 14/4");
        function.seen.clear();
        board.write(1, own, 4, 0xAABB_CCDDL);
        assertThat(function.seen)
                .as("an access across its borders is one of bytes")
                .containsExactly("own writes 0/1=bb", "own writes 1/1=aa");
        assertThat(board.read(1, own, 1)).isEqualTo(0x0A);
        assertThat(board.capability(1, TestBoard.MSIX)).isNotZero();
    }

    @Test
    void refusesMoreThanFits() {
        var function = new TestFunction();
        for (int i = 0; i < 4; i++) {
            function.with(new PciCapability(9, 60, function.noting("c")));
        }
        assertThatThrownBy(() -> board.plug(function))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("configuration space has 256 bytes");
        assertThatThrownBy(() ->
                        board.plug(new TestFunction().withBar(16).withBar(16).withBar(16)))
                .hasMessageContaining("3 ranges of registers");
        for (int i = 1; i < 32; i++) {
            assertThat(board.plug(new TestFunction()).device()).isEqualTo(i);
        }
        assertThatThrownBy(() -> board.plug(new TestFunction()))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("test finds no slot: the PCI bus takes 31 functions");
    }

    /** 2.2.6: several devices share a line, which is asserted as long as one of them asserts its pin. */
    @Test
    void pinsShareLines() {
        PciSlot first = board.plug(new TestFunction());
        for (int i = 0; i < 3; i++) {
            board.plug(new TestFunction());
        }
        PciSlot fifth = board.plug(new TestFunction());
        TestVm.Line line = board.vm.lines.get(17);
        assertThat(first.pin().gsi()).isEqualTo(17).isEqualTo(fifth.pin().gsi());
        first.pin().raise();
        fifth.pin().raise();
        first.pin().lower();
        assertThat(line.high).isTrue();
        assertThat(board.read(1, STATUS, 2) & PIN_ASSERTED).isZero();
        assertThat(board.read(5, STATUS, 2) & PIN_ASSERTED).isNotZero();
        fifth.pin().lower();
        assertThat(line.high).isFalse();
        assertThat(board.vm.lines.values()).noneMatch(any -> any.high);
    }

    /** 6.2.2, bit 10: "This bit disables the device/function from asserting INTx#"; 6.2.3: it has no effect on "Interrupt Status". */
    @Test
    void aDisabledPinIsNotHeard() {
        PciSlot slot = board.plug(new TestFunction());
        TestVm.Line line = board.vm.lines.get(slot.pin().gsi());
        slot.pin().raise();
        board.write(1, COMMAND, 2, MEMORY | PIN_DISABLED);
        assertThat(line.high).isFalse();
        assertThat(board.read(1, STATUS, 2) & PIN_ASSERTED).isNotZero();
        board.write(1, COMMAND, 2, MEMORY);
        assertThat(line.high).isTrue();
        board.plug(new TestFunction());
        slot.close();
        assertThat(line.high).isFalse();
        slot.close();
        assertThat(board.read(1, 0, 2)).as("off the bus").isEqualTo(0xFFFF);
        assertThat(board.read(2, 0, 2)).isEqualTo(0x1AF4);
    }

    @Test
    void resetPutsEverythingWhereFirmwareHadPutIt() {
        var function = new TestFunction().withBar(0x1000).withVectors(1);
        PciSlot slot = board.plug(function);
        slot.pin().raise();
        board.write(1, COMMAND, 2, 0);
        board.setBar(1, BAR0, 0xE900_0000L);
        board.write(1, 0x3C, 1, 10);
        board.out(ADDRESS, 4, ENABLE);
        board.host.reset();
        assertThat(board.barAddress(1, BAR0)).isEqualTo(WINDOW);
        assertThat(board.read(1, COMMAND, 2)).isEqualTo(MEMORY);
        assertThat(board.read(1, 0x3C, 1)).isEqualTo(0xFF);
        assertThat(board.in(ADDRESS, 4)).isZero();
        assertThat(board.vm.lines.get(17).high).isFalse();
        assertThat(function.seen).containsExactly("bar0 at e8000000", "bar0 removed", "bar0 at e8000000");
    }

    @Test
    void aSavedBusIsRestoredInAnother() {
        PciSlot slot = board.plug(new TestFunction().withBar(0x1000).withVectors(1));
        slot.pin().raise();
        board.setBar(1, BAR0, 0xE900_0000L);
        board.write(1, COMMAND, 2, MEMORY | PIN_DISABLED);
        board.out(ADDRESS, 4, ENABLE | 1 << 11);
        board.out(ResetControl.PORT, 1, 2);
        var state = new DeviceState(1);
        board.host.save(state);

        var other = new TestBoard();
        var function = new TestFunction().withBar(0x1000).withVectors(1);
        other.plug(function);
        other.host.restore(DeviceState.decode(state.encode()));
        assertThat(function.seen).endsWith("bar0 at e9000000");
        assertThat(other.in(DATA, 2)).isEqualTo(0x1AF4);
        assertThat(other.in(ResetControl.PORT, 1)).isEqualTo(2);
        other.write(1, COMMAND, 2, MEMORY);
        assertThat(other.vm.lines.get(17).high).isTrue();
    }

    @Test
    void refusesTheStateOfAnotherMachineAndStaysAsItWas() {
        board.plug(new TestFunction().withBar(0x1000));
        board.out(ADDRESS, 4, ENABLE | 1 << 11);
        var state = new DeviceState(1);
        board.host.save(state);
        var other = new TestBoard();
        assertThatThrownBy(() -> other.host.restore(state))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("'functions' is 2; it must be from 1 to 1");
        other.plug(new TestFunction().withBar(0x1000).withVectors(1));
        assertThatThrownBy(() -> other.host.restore(state)).hasMessageContaining("'slot1.msix' is missing");
        assertThat(other.in(ADDRESS, 4)).isZero();
    }

    /** Whatever a guest does to configuration space, nothing is thrown and the function can be found again after a reset. */
    @Property(tries = 300)
    void survivesAnyAccess(@ForAll long seed, @ForAll @IntRange(min = 1, max = 200) int count) {
        var hostile = new TestBoard();
        var function = new TestFunction().withBar(0x1000).withBar(0x10).withVectors(3);
        function.with(new PciCapability(9, 18, function.noting("own")));
        PciSlot slot = hostile.plug(function);
        var random = new java.util.Random(seed);
        for (int i = 0; i < count; i++) {
            int size = 1 + random.nextInt(8);
            long value = TestBoard.cut(random.nextBoolean() ? random.nextLong() : -1, size);
            switch (random.nextInt(7)) {
                case 0 -> hostile.out(0xCF8 + random.nextInt(8), 1 << random.nextInt(3), value);
                case 1 -> hostile.in(0xCF8 + random.nextInt(8), 1 << random.nextInt(3));
                case 2, 3 -> hostile.write(random.nextInt(3), random.nextInt(0x110), size, value);
                case 4 -> hostile.read(random.nextInt(3), random.nextInt(0x1000), size);
                case 5 -> hostile.vm.bus.mmioWrite(hostile.barAddress(1, BAR4) + random.nextInt(0x1000), size, value);
                default -> {
                    slot.signal(random.nextInt(4));
                    hostile.vm.bus.mmioRead(hostile.barAddress(1, BAR4) + random.nextInt(0x1000), size);
                }
            }
        }
        hostile.host.reset();
        assertThat(hostile.read(1, 0, 4)).isEqualTo(0x1042_1AF4);
        assertThat(hostile.barAddress(1, BAR0)).isEqualTo(WINDOW);
        slot.close();
        assertThat(hostile.vm.interrupts).allMatch(interrupt -> interrupt.closed);
    }
}
