package io.github.jkvm.machine.linux;

import java.math.BigInteger;
import java.util.Comparator;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** The order of versions such as 6.1.0-56-amd64. */
final class KernelVersion {
    /** Part by part, numbers by their value: 6.1.0-9 comes before 6.1.0-10. */
    static final Comparator<String> ORDER = KernelVersion::compare;

    private static final Pattern WORDS_AND_NUMBERS = Pattern.compile("[0-9]+|[^0-9]+");

    private KernelVersion() {}

    private static int compare(String one, String other) {
        List<String> these = parts(one);
        List<String> those = parts(other);
        for (int i = 0; i < Math.min(these.size(), those.size()); i++) {
            String here = these.get(i);
            String there = those.get(i);
            boolean numbers = Character.isDigit(here.charAt(0)) && Character.isDigit(there.charAt(0));
            int order = numbers ? new BigInteger(here).compareTo(new BigInteger(there)) : here.compareTo(there);
            if (order != 0) {
                return order;
            }
        }
        return Integer.compare(these.size(), those.size());
    }

    private static List<String> parts(String version) {
        return WORDS_AND_NUMBERS
                .matcher(version)
                .results()
                .map(MatchResult::group)
                .toList();
    }
}
