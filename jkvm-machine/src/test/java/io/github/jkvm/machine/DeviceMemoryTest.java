package io.github.jkvm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.AddressWindow;
import io.github.jkvm.machine.boot.GuestRange;
import io.github.jkvm.machine.boot.MemoryMap;
import io.github.jkvm.x86.CpuidEntry;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class DeviceMemoryTest {
    private static final long GIB = 1L << 30;

    private static Optional<String> window(long ram, int addressBits) {
        // Bits 8 to 15 are the bits of a linear address, which do not count.
        var sizes = new CpuidEntry(0x8000_0008, 0, 0, 0x3000 | addressBits, 0, 0, 0);
        return DeviceMemory.window(MemoryMap.ramOf(ram), List.of(sizes)).map(AddressWindow::toString);
    }

    @Test
    void liesBelowThePciBusOnProcessorsWithEnoughAddresses() {
        assertThat(window(GIB, 40)).contains(256 * GIB + " bytes at 0x4000000000");
        assertThat(window(GIB, 52)).contains(256 * GIB + " bytes at 0x4000000000");
        assertThat(window(GIB, 39)).contains(256 * GIB + " bytes at 0x4000000000");
    }

    @Test
    void isInTheUpperHalfOfFewerAddresses() {
        assertThat(window(GIB, 36)).contains(32 * GIB + " bytes at 0x800000000");
        assertThat(DeviceMemory.window(List.of(new GuestRange(0, GIB)), List.of())
                        .map(AddressWindow::toString))
                .as("no such CPUID leaf: 36 bits")
                .contains(32 * GIB + " bytes at 0x800000000");
    }

    @Test
    void beginsAboveRamThatReachesIntoIt() {
        assertThat(window(40 * GIB + 4096, 36)).contains(22 * GIB + " bytes at 0xa80000000");
        assertThat(window(300 * GIB, 46)).contains(211 * GIB + " bytes at 0x4b40000000");
    }

    @Test
    void isNotThereIfRamTakesAll() {
        assertThat(window(64 * GIB, 36)).isEmpty();
        assertThat(window(511 * GIB, 46)).isEmpty();
        assertThat(window(700 * GIB, 46)).isEmpty();
    }
}
