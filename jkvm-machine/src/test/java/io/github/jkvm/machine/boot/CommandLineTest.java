package io.github.jkvm.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Optional;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.AlphaChars;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.constraints.StringLength;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CommandLineTest {

    @Test
    void joinsParametersWithSpaces() {
        assertThat(CommandLine.empty().add("console", "ttyS0").add("quiet").add("panic", "-1"))
                .hasToString("console=ttyS0 quiet panic=-1");
    }

    @Test
    void quotesAValueWithSpaces() {
        CommandLine line = CommandLine.empty().add("dyndbg", "file init/main.c +p");
        assertThat(line).hasToString("dyndbg=\"file init/main.c +p\"");
        assertThat(CommandLine.parse(line.toString())).isEqualTo(line);
    }

    @Test
    void putsInitArgumentsBehindTwoDashes() {
        CommandLine line = CommandLine.empty()
                .addInitArgument("-c")
                .addInitArgument("echo hi")
                .add("quiet");
        assertThat(line).hasToString("quiet -- -c \"echo hi\"");
        assertThat(CommandLine.parse(line.toString()).initArguments()).containsExactly("-c", "echo hi");
    }

    @Test
    void readsBothPlacesOfTheOpeningQuote() {
        assertThat(CommandLine.parse("  \"a=b c\"   d=\"e f\" ").parameters())
                .containsExactly(
                        new CommandLine.Parameter("a", Optional.of("b c")),
                        new CommandLine.Parameter("d", Optional.of("e f")));
    }

    @Test
    void keepsAParameterThatIsGivenTwice() {
        assertThat(CommandLine.parse("console=tty0 console=ttyS0 console").values("console"))
                .containsExactly("tty0", "ttyS0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "a b", "a=b", "--", "a\"b", "a\nb", "é"})
    void refusesAKeyThatLinuxWouldReadOtherwise(String key) {
        assertThatThrownBy(() -> CommandLine.empty().add(key)).isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"a\"b", "a\tb", "\u0000", "\u007f"})
    void refusesAValueThatCannotBeWritten(String value) {
        assertThatThrownBy(() -> CommandLine.empty().add("key", value)).isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "--", "a\"b"})
    void refusesAnInitArgumentThatWouldEndOrBreakTheList(String argument) {
        assertThatThrownBy(() -> CommandLine.empty().addInitArgument(argument))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void namesTheCharacterThatIsNotAscii() {
        assertThatThrownBy(() -> CommandLine.empty().add("key", "a\nb"))
                .hasMessage("command line value of key has character U+000A at position 1; it must be printable ASCII");
    }

    @ParameterizedTest
    @ValueSource(strings = {"\"a", "a=\"b", "=a", "a\"b c\"d"})
    void refusesTextThatLinuxWouldReadOtherwise(String text) {
        assertThatThrownBy(() -> CommandLine.parse(text)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void takesAsMuchAsLinuxDoesAndNoMore() {
        String longest = "a".repeat(CommandLine.MAX_LENGTH);
        assertThat(CommandLine.parse(longest)).hasToString(longest);
        assertThatThrownBy(() -> CommandLine.parse(longest + "a")).hasMessageContaining("2048 characters");
    }

    @Provide
    Arbitrary<String> values() {
        return Arbitraries.strings().withCharRange(' ', '~').excludeChars('"').ofMaxLength(30);
    }

    @Property
    void readsBackWhatItWrote(
            @ForAll @Size(max = 20) List<@AlphaChars @StringLength(min = 1, max = 8) String> keys,
            @ForAll("values") String value,
            @ForAll("values") String argument) {
        CommandLine line = CommandLine.empty();
        for (String key : keys) {
            line = line.add(key).add(key, value);
        }
        if (!argument.isEmpty() && !argument.equals("--")) {
            line = line.addInitArgument(argument);
        }
        CommandLine read = CommandLine.parse(line.toString());
        assertThat(read.parameters()).isEqualTo(line.parameters());
        assertThat(read.initArguments()).isEqualTo(line.initArguments());
    }

    @Property
    void readsOrRefusesAnyText(@ForAll String text) {
        try {
            CommandLine line = CommandLine.parse(text);
            assertThat(CommandLine.parse(line.toString())).isEqualTo(line);
        } catch (IllegalArgumentException e) {
            assertThat(e).hasMessageContaining("command line");
        }
    }
}
