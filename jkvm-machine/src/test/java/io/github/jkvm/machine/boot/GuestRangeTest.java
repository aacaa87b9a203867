package io.github.jkvm.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class GuestRangeTest {

    @Test
    void knowsWhatOverlapsAndWhatItContains() {
        GuestRange range = new GuestRange(0x1000, 0x1000);
        assertThat(range.overlaps(new GuestRange(0x1FFF, 1))).isTrue();
        assertThat(range.overlaps(new GuestRange(0x2000, 1))).isFalse();
        assertThat(range.overlaps(new GuestRange(0xFFF, 1))).isFalse();
        assertThat(range.overlaps(new GuestRange(0, 0x4000))).isTrue();
        assertThat(range.overlaps(new GuestRange(0x1800, 0))).isFalse();
        assertThat(range.contains(new GuestRange(0x1000, 0x1000))).isTrue();
        assertThat(range.contains(new GuestRange(0x1000, 0x1001))).isFalse();
    }

    @Test
    void refusesRangesThatProcessorsCannotAddress() {
        for (long[] bad : new long[][] {{-1, 1}, {0, -1}, {1L << 52, 1}, {1, 1L << 52}, {1, Long.MAX_VALUE}}) {
            assertThatThrownBy(() -> new GuestRange(bad[0], bad[1]))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("2^52");
        }
        assertThat(new GuestRange(0, 1L << 52).end()).isEqualTo(1L << 52);
        assertThatThrownBy(() -> GuestRange.between(2, 1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void showsItsLastAddress() {
        assertThat(new GuestRange(0x1000, 0x1000)).hasToString("0x1000..0x1fff");
        assertThat(new GuestRange(0x1000, 0)).hasToString("0x1000 (empty)");
    }
}
