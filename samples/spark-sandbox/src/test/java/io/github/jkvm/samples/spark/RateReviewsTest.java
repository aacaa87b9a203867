package io.github.jkvm.samples.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Submits the program to a cluster of two executors, as ./submit does. */
class RateReviewsTest {
    @TempDir
    Path folder;

    @BeforeAll
    static void needKvm() {
        assumeTrue(Files.isWritable(Path.of("/dev/kvm")), "there is no /dev/kvm that this user may open");
    }

    private List<String> rate(String... reviews) throws Exception {
        Path file = Files.write(folder.resolve("reviews.txt"), List.of(reviews));
        Path log = folder.resolve("log.txt");
        Process process = new ProcessBuilder("./submit", file.toString())
                .redirectError(log.toFile())
                .start();
        List<String> lines = new String(process.getInputStream().readAllBytes()).lines().toList();
        assertThat(process.waitFor()).as(() -> log(log)).isZero();
        return lines;
    }

    private static String log(Path file) {
        try {
            return Files.readString(file);
        } catch (java.io.IOException e) {
            return e.toString();
        }
    }

    @Test
    void ratesEachRowAndSurvivesThoseThatBreakTheGuest() throws Exception {
        List<String> lines = rate(
                "a great book and a good read",
                "the author goes on forever",
                "awful awful awful",
                "it leads nowhere at all",
                "unspeakable",
                "what a bad day",
                "fine");
        assertThat(lines).hasSize(8);
        assertThat(lines.get(0)).isEqualTo("   5  a great book and a good read");
        assertThat(lines.get(1)).startsWith("   -  the author goes on forever  [the call took longer than PT2S");
        assertThat(lines.get(2)).isEqualTo("  -9  awful awful awful");
        assertThat(lines.get(3)).startsWith("   -  it leads nowhere at all  [the guest touched memory that it may not");
        assertThat(lines.get(4)).isEqualTo("   -  unspeakable  [there are no words for this]");
        assertThat(lines.get(5)).isEqualTo("  -2  what a bad day");
        assertThat(lines.get(6)).isEqualTo("   1  fine");
        assertThat(lines.get(7)).matches("7 reviews, 3 without a rating, rated in [12] executors");
    }
}
