package io.github.jkvm.testkit.internal;

import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Times as people write them: {@code 500 ms}, {@code 10 s}, {@code 2 min}. */
public final class Durations {
    private static final Pattern TEXT = Pattern.compile("(\\d{1,9})\\s*(ms|s|min)");

    private Durations() {}

    /**
     * Reads a time.
     *
     * @param text a number and {@code ms}, {@code s} or {@code min}
     * @return the time
     * @throws IllegalArgumentException if it is none, or zero
     */
    public static Duration parse(String text) {
        Matcher matcher = TEXT.matcher(text.strip());
        if (!matcher.matches() || Long.parseLong(matcher.group(1)) == 0) {
            throw new IllegalArgumentException(
                    "'" + text + "' is no time; write a number above 0 and ms, s or min, such as 500ms or 10s");
        }
        long number = Long.parseLong(matcher.group(1));
        return switch (matcher.group(2)) {
            case "ms" -> Duration.ofMillis(number);
            case "s" -> Duration.ofSeconds(number);
            default -> Duration.ofMinutes(number);
        };
    }

    /**
     * Writes a time.
     *
     * @param time zero or more
     * @return a number and its unit
     */
    public static String text(Duration time) {
        long millis = time.toMillis();
        return millis % 1000 == 0 && millis != 0 ? millis / 1000 + " s" : millis + " ms";
    }
}
