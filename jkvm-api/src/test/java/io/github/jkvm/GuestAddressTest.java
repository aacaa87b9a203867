package io.github.jkvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

class GuestAddressTest {
    private static final GuestAddress LAST = GuestAddress.of(-1);

    @Test
    void comparesAsUnsigned() {
        assertThat(LAST).isGreaterThan(GuestAddress.of(Long.MAX_VALUE));
        assertThat(GuestAddress.ZERO).isLessThan(GuestAddress.of(1));
    }

    @Test
    void refusesToLeaveTheAddressSpace() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LAST.plus(1))
                .withMessageContaining("0xffffffffffffffff plus 1");
        assertThatIllegalArgumentException().isThrownBy(() -> GuestAddress.of(5).plus(-1));
        assertThatIllegalArgumentException().isThrownBy(() -> LAST.alignUp(4096));
        assertThat(LAST.plus(0)).isEqualTo(LAST);
    }

    @Test
    void refusesADistanceThatIsNone() {
        assertThatIllegalArgumentException().isThrownBy(() -> GuestAddress.of(1).minus(GuestAddress.of(2)));
        assertThatIllegalArgumentException().isThrownBy(() -> LAST.minus(GuestAddress.ZERO));
    }

    @Test
    void refusesAlignmentsThatAreNoPowerOfTwo() {
        for (long alignment : new long[] {0, -1, 3, Long.MIN_VALUE}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> GuestAddress.ZERO.isAligned(alignment))
                    .withMessageContaining(Long.toString(alignment));
        }
    }

    @Test
    void printsInHexadecimal() {
        assertThat(GuestAddress.of(0xFEE0_0000L)).hasToString("0xfee00000");
    }

    @Property
    void alignsUpToTheNextMultiple(
            @ForAll @LongRange(min = 0) long value, @ForAll @IntRange(min = 0, max = 40) int shift) {
        long alignment = 1L << shift;
        GuestAddress aligned = GuestAddress.of(value).alignUp(alignment);
        assertThat(aligned.isAligned(alignment)).isTrue();
        assertThat(aligned.minus(GuestAddress.of(value))).isBetween(0L, alignment - 1);
    }

    @Property
    void plusAndMinusAreInverse(@ForAll long base, @ForAll @LongRange(min = 0) long distance) {
        if (Long.compareUnsigned(base + distance, base) >= 0) {
            assertThat(GuestAddress.of(base).plus(distance).minus(GuestAddress.of(base)))
                    .isEqualTo(distance);
        } else {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> GuestAddress.of(base).plus(distance));
        }
    }
}
