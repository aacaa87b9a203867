package io.github.jkvm.samples.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GuestInputTest {
    private final ByteArrayOutputStream guest = new ByteArrayOutputStream();

    @ParameterizedTest
    @CsvSource(
            ignoreLeadingAndTrailingWhitespace = false,
            value = {"'','\4'", "'a\n','a\n\4'", "a,a\4\4", "'\4\26\1x','\26\4\26\26\1x\4\4'"})
    void quotesWhatATerminalTakesForACommandAndEndsThePipe(String pipe, String expected) throws IOException {
        GuestInput.copyPipe(bytes(pipe), guest);
        assertThat(guest.toString(StandardCharsets.US_ASCII)).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource(
            ignoreLeadingAndTrailingWhitespace = false,
            value = {
                "ls\r,ls\r",
                "a\1\1b,a\1b",
                "\1\1x,\1x",
                "\1ab,ab",
                "\3\4,\3\4",
                "abc\1xd,''",
                "\1\1\1x,''",
            })
    void passesEveryKeyOnUntilCtrlAAndX(String keys, String expected) throws IOException {
        GuestInput.copyKeys(bytes(keys), guest);
        assertThat(guest.toString(StandardCharsets.US_ASCII)).isEqualTo(expected);
    }

    @Test
    void stopsReadingAfterCtrlAAndXEvenIfTheyComeApart() throws IOException {
        var keys = new SequenceInputStream(Collections.enumeration(List.of(bytes("a\1"), bytes("x"), bytes("b"))));
        GuestInput.copyKeys(keys, guest);
        assertThat(guest.toString(StandardCharsets.US_ASCII)).isEqualTo("a");
        assertThat(keys.read()).isEqualTo('b');
    }

    private static ByteArrayInputStream bytes(String text) {
        return new ByteArrayInputStream(text.getBytes(StandardCharsets.US_ASCII));
    }
}
