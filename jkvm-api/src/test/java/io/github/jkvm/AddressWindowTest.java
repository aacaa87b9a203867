package io.github.jkvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class AddressWindowTest {
    private static final long MIB = 1L << 20;

    @Test
    void givesPlacesFromTheLowestOnAligned() {
        var window = new AddressWindow(GuestAddress.of(0x40_0000_1000L), 64 * MIB);
        assertThat(window.take(4096, 4096).value()).isEqualTo(0x40_0000_1000L);
        assertThat(window.take(10 * MIB, 2 * MIB).value()).isEqualTo(0x40_0020_0000L);
        assertThat(window.take(1, 1).value()).isEqualTo(0x40_00C0_0000L);
    }

    @Test
    void refusesWhatDoesNotFitAndSaysHowMuchIsLeft() {
        var window = new AddressWindow(GuestAddress.of(MIB), 3 * MIB);
        assertThat(window.take(MIB, 4096).value()).isEqualTo(MIB);
        assertThatIllegalStateException()
                .isThrownBy(() -> window.take(2 * MIB + 1, 4096))
                .withMessageContaining("2097152 of 3145728 bytes at 0x100000 are left");
        assertThatIllegalStateException().isThrownBy(() -> window.take(1, 1L << 40));
        assertThat(window.take(2 * MIB, 2 * MIB).value()).isEqualTo(2 * MIB);
        assertThatIllegalStateException().isThrownBy(() -> window.take(1, 1));
    }

    @Test
    void refusesNumbersThatMakeNoSense() {
        var window = new AddressWindow(GuestAddress.of(0), 10);
        assertThatIllegalArgumentException().isThrownBy(() -> window.take(0, 1));
        assertThatIllegalArgumentException().isThrownBy(() -> window.take(1, 3));
        assertThatIllegalArgumentException().isThrownBy(() -> window.take(1, Long.MIN_VALUE));
        assertThatIllegalArgumentException().isThrownBy(() -> new AddressWindow(GuestAddress.of(0), 0));
        assertThatIllegalArgumentException().isThrownBy(() -> new AddressWindow(GuestAddress.of(2), Long.MAX_VALUE));
        assertThatIllegalArgumentException().isThrownBy(() -> new AddressWindow(GuestAddress.of(-4096), 4096));
    }

    @Property
    void placesNeverOverlapNorLeaveTheWindow(
            @ForAll @LongRange(min = 0, max = 1L << 40) long base,
            @ForAll @Size(max = 20) List<@LongRange(min = 1, max = 1L << 30) Long> lengths,
            @ForAll @IntRange(max = 31) int shift) {
        var window = new AddressWindow(GuestAddress.of(base), 8L << 30);
        long end = base;
        for (long length : lengths) {
            GuestAddress place;
            try {
                place = window.take(length, 1L << shift);
            } catch (IllegalStateException full) {
                return;
            }
            assertThat(place.value()).isGreaterThanOrEqualTo(end);
            assertThat(place.value() % (1L << shift)).isZero();
            end = place.value() + length;
            assertThat(end).isLessThanOrEqualTo(base + (8L << 30));
        }
    }
}
