package io.github.jkvm.samples.untrusted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OptionsTest {

    @Test
    void readsEveryOption() throws Exception {
        assertThat(Options.parse("python3", "--root", "/srv/root", "--timeout", "5", "--memory", "512"))
                .isEqualTo(
                        new Options(Options.Language.PYTHON3, Path.of("/srv/root"), Duration.ofSeconds(5), 512L << 20));
        assertThat(Options.parse("sh", "--root", "r"))
                .isEqualTo(new Options(Options.Language.SH, Path.of("r"), Duration.ofSeconds(10), 256L << 20));
        assertThat(Options.Language.PYTHON3.command("/f")).containsExactly("python3", "/f");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "perl --root r | the language 'perl' is neither sh nor python3",
                "sh | no --root; give a folder with a Linux system, or an image",
                "sh --root | --root needs a value",
                "sh --root r --timeout 0 | --timeout '0' is not a number from 1 to 1000000",
                "sh --root r --memory x | --memory 'x' is not a number from 64 to 1048576",
                "sh --disk d | there is no option '--disk'; --help lists them"
            })
    void refusesWhatItCannotFollowWithASentence(String arguments, String sentence) {
        assertThatThrownBy(() -> Options.parse(arguments.split(" ")))
                .isInstanceOf(Options.WrongArgument.class)
                .hasMessage(sentence);
    }
}
