package io.github.jkvm.samples.linux;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** The kernels that a distribution has put into a folder. */
final class InstalledKernel {
    private static final String PREFIX = "vmlinuz-";
    private static final Pattern WORDS_AND_NUMBERS = Pattern.compile("[0-9]+|[^0-9]+");

    private InstalledKernel() {}

    /**
     * Returns the newest kernel in a folder.
     *
     * @param folder such as {@code /boot}
     * @throws IOException if there is none, or it may not be read; the text says what to type
     */
    static Path newest(Path folder) throws IOException {
        List<Path> kernels = new ArrayList<>();
        if (Files.isDirectory(folder)) {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, PREFIX + "*")) {
                files.forEach(kernels::add);
            }
        }
        Path newest = kernels.stream()
                .max(Comparator.comparing(
                        kernel -> kernel.getFileName().toString().substring(PREFIX.length()), InstalledKernel::compare))
                .orElseThrow(() -> new IOException("there is no kernel in " + folder
                        + "; install one with: sudo apt-get install linux-image-amd64 (Ubuntu: linux-image-generic),"
                        + " or give one with --kernel FILE"));
        if (!Files.isReadable(newest)) {
            throw new IOException(newest + " may not be read; allow it with: sudo chmod a+r " + newest);
        }
        return newest;
    }

    /** Compares versions part by part, numbers by their value: 6.1.0-9 comes before 6.1.0-10. */
    static int compare(String one, String other) {
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
