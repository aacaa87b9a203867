package io.github.jkvm.machine.pci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.machine.boot.GuestRange;
import java.util.List;
import org.junit.jupiter.api.Test;

class PciLayoutTest {
    private static final long GIB = 1L << 30;

    @Test
    void aSecondWindowNeedsAddressBitsAndLiesAboveTheMemory() {
        assertThat(PciLayout.pc(GIB, 36).windows()).containsExactly(GuestRange.between(0xE010_0000L, 0xFEB0_0000L));
        assertThat(PciLayout.pc(GIB, 40).windows()).hasSize(2).last().isEqualTo(new GuestRange(512 * GIB, 32 * GIB));
        assertThat(PciLayout.pc(600 * GIB, 40).windows())
                .hasSize(2)
                .last()
                .isEqualTo(new GuestRange(608 * GIB, 32 * GIB));
        assertThat(PciLayout.pc(1000 * GIB, 40).windows()).hasSize(1);
        assertThatThrownBy(() -> PciLayout.pc(GIB, 53)).hasMessageContaining("53 bits of address");
    }

    @Test
    void refusesWhatCannotBe() {
        var window = List.of(new GuestRange(0xE000_0000L, 0x1000));
        var configuration = new GuestRange(0xF000_0000L, PciLayout.CONFIGURATION_SIZE);
        assertThatThrownBy(() -> new PciLayout(new GuestRange(0xF000_1000L, 1 << 20), window, List.of(16)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("must have 1048576 bytes at a multiple of that");
        assertThatThrownBy(() -> new PciLayout(configuration, List.of(), List.of(16)))
                .hasMessageContaining("with 0 windows");
        assertThatThrownBy(() -> new PciLayout(configuration, window, List.of(1, 2, 3, 4, 5)))
                .hasMessageContaining("5 pins");
    }
}
