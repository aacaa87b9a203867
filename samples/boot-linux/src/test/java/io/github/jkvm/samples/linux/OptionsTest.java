package io.github.jkvm.samples.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OptionsTest {

    @Test
    void bootsAShellInTheNewestKernelByDefault() throws Exception {
        assertThat(Options.parse())
                .isEqualTo(new Options(
                        null, null, "", 1, 512L << 20, null, null, Options.Messages.HIDDEN, java.util.List.of()));
    }

    @Test
    void readsEveryOption(@TempDir Path folder) throws Exception {
        Path file = Files.createFile(folder.resolve("vmlinuz"));
        Options options = Options.parse(
                "--kernel",
                file.toString(),
                "--append=nosmp quiet",
                "--cpus",
                "4",
                "--memory",
                "1g",
                "--boot=bzimage",
                "--timeout",
                "90",
                "--verbose",
                "--",
                "ls",
                "--",
                "-l");
        assertThat(options.kernel()).isEqualTo(file);
        assertThat(options.append()).isEqualTo("nosmp quiet");
        assertThat(options.cpus()).isEqualTo(4);
        assertThat(options.memory()).isEqualTo(1L << 30);
        assertThat(options.boot()).isEqualTo(Options.BootProtocol.BZIMAGE);
        assertThat(options.timeout()).isEqualTo(Duration.ofSeconds(90));
        assertThat(options.messages()).isEqualTo(Options.Messages.SHOWN);
        assertThat(options.command()).containsExactly("ls", "--", "-l");
    }

    @ParameterizedTest
    @CsvSource({"64M, 67108864", "65536k, 67108864", "67108864, 67108864", "1024G, 1099511627776"})
    void readsSizesInAllUnits(String text, long bytes) throws Exception {
        assertThat(Options.parse("--memory", text).memory()).isEqualTo(bytes);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--memory 12Q | --memory '12Q' is not a size: give bytes, or a number followed by K, M or G (512M)",
                "--memory 63M | --memory 63M is out of range; give 64M to 1024G",
                "--memory 999999999999999999G | --memory 999999999999999999G is out of range; give 64M to 1024G",
                "--memory 67108865 | --memory 67108865 is not a multiple of the page size, 4K",
                "--cpus 0 | --cpus '0' is not a number from 1 to 255",
                "--cpus -1 | --cpus '-1' is not a number from 1 to 255",
                "--cpus 256 | --cpus '256' is not a number from 1 to 255",
                "--timeout 99999999999 | --timeout '99999999999' is not a number from 1 to 1000000000",
                "--boot uefi | --boot 'uefi' is neither bzimage nor pvh",
                "--kernel /no/such | --kernel /no/such: there is no such file",
                "--kernel / | --kernel / is not a file that may be read",
                "--initrd /etc/passwd -- ls | the command 'ls' needs the initial RAM disk that boot-linux makes; leave out --initrd or the command",
                "--cpus | --cpus needs a value; --help says which",
                "--disk x | there is no option '--disk'; --help lists them",
                "ls -l | 'ls' is no option; a command comes after --, as in: boot-linux -- ls",
                "-- | no command after --; leave -- out for a shell",
            })
    void refusesWhatItCannotFollowWithASentence(String arguments, String sentence) {
        assertThatThrownBy(() -> Options.parse(arguments.split(" ")))
                .isInstanceOf(Options.WrongArgument.class)
                .hasMessage(sentence);
    }
}
