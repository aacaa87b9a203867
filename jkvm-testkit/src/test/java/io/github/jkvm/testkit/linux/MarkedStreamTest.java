package io.github.jkvm.testkit.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class MarkedStreamTest {
    private static final String WORD = "ab-12";

    private final MarkedStream stream = new MarkedStream();
    private final ByteArrayOutputStream output = new ByteArrayOutputStream();
    private final List<Integer> ends = new ArrayList<>();

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private String text() {
        return output.toString(StandardCharsets.ISO_8859_1);
    }

    /** What a hostile command may print: anything, and much that looks like the mark, but not its whole word. */
    @Provide
    Arbitrary<String> hostile() {
        return Arbitraries.of(
                        "\0",
                        "\0ab",
                        "\0ab-12",
                        "\0ab-13 0\n",
                        "\0ab-12 x\n",
                        "\0ab-12 \n",
                        "\0ab-12 1234\n",
                        "\0ab-12 07x",
                        "\0ab-12 0",
                        "ab-12 0\n",
                        "text",
                        "\n",
                        " ",
                        "\u00ff")
                .list()
                .ofMaxSize(12)
                .map(parts -> String.join("", parts))
                // Joined parts can be a whole mark, which no command can print: it does not know its word.
                .filter(all -> !all.matches("(?s).*\0ab-12 [0-9]{1,3}\n.*"));
    }

    @Property(tries = 2000)
    void givesBackAllThatIsNotTheMarkHoweverItIsCut(
            @ForAll("hostile") String printed,
            @ForAll @IntRange(max = 255) int status,
            @ForAll @Size(min = 1, max = 5) List<@IntRange(min = 1, max = 20) Integer> cuts)
            throws IOException {
        stream.expect(WORD, output, ends::add);
        byte[] all = bytes(printed + "\0" + WORD + " " + status + "\n" + "left behind");
        int at = 0;
        for (int i = 0; at < all.length; i++) {
            int length = Math.min(cuts.get(i % cuts.size()), all.length - at);
            stream.write(all, at, length);
            at += length;
        }

        // A mark that was begun by what was printed last is the one thing that can't be told apart in the middle.
        assertThat(text()).isEqualTo(printed);
        assertThat(ends).containsExactly(status);
        output.reset();
        ends.clear();
    }

    @Test
    void takesTheNextCommandFromWithinTheEndOfTheLast() throws IOException {
        var errors = new ByteArrayOutputStream();
        stream.expect("w1", output, status -> stream.expect("w1", errors, ends::add));

        stream.write(bytes("out\0w1 3\nerr\0w1 3\nleft behind"));

        assertThat(text()).isEqualTo("out");
        assertThat(errors.toString(StandardCharsets.UTF_8)).isEqualTo("err");
        assertThat(ends).containsExactly(3);
    }

    @Test
    void dropsWhatComesBetweenCommands() throws IOException {
        stream.write(bytes("early"));
        stream.expect("w1", output, ends::add);
        stream.write(bytes("\0w1 0\n"));
        stream.write('x');
        stream.expect("w2", output, ends::add);
        stream.write(bytes("y\0w1 0\nz\0w2 1\n"));

        assertThat(text()).isEqualTo("y\0w1 0\nz");
        assertThat(ends).containsExactly(0, 1);
    }
}
