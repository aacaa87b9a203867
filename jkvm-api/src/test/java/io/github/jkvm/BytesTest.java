package io.github.jkvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import org.junit.jupiter.api.Test;

class BytesTest {

    @Test
    void keepsItsBytesWhenTheArraysChange() {
        byte[] source = {1, 2};
        Bytes bytes = Bytes.copyOf(source);
        source[0] = 9;
        bytes.toArray()[1] = 9;
        assertThat(bytes.toArray()).containsExactly(1, 2);
    }

    @Test
    void readsLittleEndianWithoutSignExtension() {
        assertThat(Bytes.copyOf((byte) 0xFF, (byte) 0x80).toLong()).isEqualTo(0x80FF);
        assertThat(Bytes.copyOf().toLong()).isZero();
        assertThat(Bytes.copyOf(new byte[] {0, 0, 0, 0, 0, 0, 0, (byte) 0x80}).toLong())
                .isEqualTo(Long.MIN_VALUE);
    }

    @Test
    void refusesToBeALongWhenItDoesNotFit() {
        assertThatIllegalStateException()
                .isThrownBy(() -> Bytes.copyOf(new byte[9]).toLong())
                .withMessageContaining("9 bytes");
    }

    @Test
    void equalsByContent() {
        assertThat(Bytes.copyOf((byte) 1)).isEqualTo(Bytes.copyOf((byte) 1)).hasSameHashCodeAs(Bytes.copyOf((byte) 1));
        assertThat(Bytes.copyOf((byte) 1)).isNotEqualTo(Bytes.copyOf((byte) 2));
        assertThat(Bytes.copyOf((byte) 10, (byte) -1)).hasToString("0a ff");
    }
}
