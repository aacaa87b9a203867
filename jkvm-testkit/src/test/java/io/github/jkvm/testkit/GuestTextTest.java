package io.github.jkvm.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class GuestTextTest {

    private static GuestText of(long length) {
        var text = new GuestText();
        for (long i = 0; i < length; i++) {
            text.add(letter(i));
        }
        return text;
    }

    private static int letter(long index) {
        return 'a' + (int) (index % 26);
    }

    @Property(tries = 30)
    void keepsAllUpToTwiceWhatItKeepsOfEitherEnd(@ForAll @IntRange(max = 2 * GuestText.KEPT) int length) {
        GuestText text = of(length);

        assertThat(text.length()).isEqualTo(length);
        assertThat(text.text()).hasSize(length);
        if (length > 0) {
            assertThat(text.text().charAt(length - 1)).isEqualTo((char) letter(length - 1));
        }
    }

    @Test
    void aHundredMegabytesTakeNoMoreThanBothEnds() {
        long length = 100L << 20;
        GuestText text = of(length);

        assertThat(text.length()).isEqualTo(length);
        String kept = text.text();
        assertThat(kept).hasSizeLessThan(2 * GuestText.KEPT + 100);
        assertThat(kept).startsWith("abc").contains("[... " + (length - 2 * GuestText.KEPT) + " bytes not kept ...]");
        assertThat(kept.charAt(kept.length() - 1)).isEqualTo((char) letter(length - 1));
        assertThat(text.endsWith(new byte[] {(byte) letter(length - 2), (byte) letter(length - 1)}))
                .isTrue();
    }

    @Property(tries = 100)
    void knowsItsEndAcrossTheKeptParts(
            @ForAll @IntRange(min = -40, max = 40) int around, @ForAll @IntRange(min = 1, max = 60) int size) {
        int length = GuestText.KEPT + around;
        GuestText text = of(length);
        byte[] end = new byte[size];
        for (int i = 0; i < size; i++) {
            end[i] = (byte) letter((long) length - size + i);
        }

        assertThat(text.endsWith(end)).isTrue();
        end[0]++;
        assertThat(text.endsWith(end)).isFalse();
    }

    @Test
    void readsItsBytesAsUtf8() {
        var text = new GuestText();
        for (byte b : "Grüße".getBytes(StandardCharsets.UTF_8)) {
            text.add(b);
        }
        assertThat(text.text()).isEqualTo("Grüße");
        assertThat(text.endsWith("Grüße und mehr".getBytes(StandardCharsets.UTF_8)))
                .isFalse();
    }
}
