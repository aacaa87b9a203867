package io.github.jkvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Arrays;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;

class DeviceStateTest {

    private static DeviceState sample() {
        DeviceState state = new DeviceState(3);
        state.putNumber("divisor", 12);
        state.putBytes("fifo", new byte[] {1, 2, 3});
        return state;
    }

    @Test
    void namesTheEntryThatIsMissingOrOutOfRange() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sample().number("lcr"))
                .withMessageContaining("'lcr' is missing");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sample().number("divisor", 0, 11))
                .withMessage("state entry 'divisor' is 12; it must be from 0 to 11");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sample().bytes("fifo", 2))
                .withMessageContaining("'fifo' has 3 bytes; at most 2");
    }

    @Test
    void refusesBytesThatAreCutShort() {
        byte[] encoded = sample().encode();
        for (int length = 0; length < encoded.length; length++) {
            byte[] cut = Arrays.copyOf(encoded, length);
            assertThatIllegalArgumentException().isThrownBy(() -> DeviceState.decode(cut));
        }
        byte[] longer = Arrays.copyOf(encoded, encoded.length + 1);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> DeviceState.decode(longer))
                .withMessageContaining("1 stray");
    }

    @Test
    void refusesVersionZero() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new DeviceState(0))
                .withMessageContaining("version 0");
    }

    @Property(tries = 300)
    void survivesEncodingAndDecoding(
            @ForAll @IntRange(min = 1) int version,
            @ForAll @Size(max = 20) Map<@StringLength(max = 20) String, Long> numbers,
            @ForAll @Size(max = 20) Map<@StringLength(max = 20) String, byte[]> bytes) {
        DeviceState state = new DeviceState(version);
        numbers.forEach(state::putNumber);
        bytes.forEach(state::putBytes);
        DeviceState read = DeviceState.decode(state.encode());
        assertThat(read.version()).isEqualTo(version);
        numbers.forEach((name, value) -> assertThat(read.number(name)).isEqualTo(value));
        bytes.forEach(
                (name, value) -> assertThat(read.bytes(name, value.length)).isEqualTo(value));
        assertThat(read.encode()).isEqualTo(state.encode());
    }

    @Property
    void neverFailsOtherwiseOnDamagedBytes(@ForAll @IntRange(min = 0, max = 50) int at, @ForAll byte value) {
        byte[] encoded = sample().encode();
        encoded[at % encoded.length] = value;
        try {
            DeviceState.decode(encoded);
        } catch (IllegalArgumentException e) {
            assertThat(e).hasMessageContaining("state");
        }
    }
}
