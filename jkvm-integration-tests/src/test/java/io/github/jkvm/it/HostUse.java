package io.github.jkvm.it;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * What this process has of the host.
 *
 * @param files open file descriptors
 * @param mappings lines of {@code /proc/self/maps}
 * @param kvmMappings those of them that are a vCPU's
 * @param threads threads of the host
 */
public record HostUse(long files, long mappings, long kvmMappings, long threads) {
    public static HostUse now() {
        try {
            long mappings;
            long ofKvm;
            try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
                var all = lines.toList();
                mappings = all.size();
                ofKvm = all.stream().filter(line -> line.contains("kvm-vcpu")).count();
            }
            return new HostUse(entries("/proc/self/fd"), mappings, ofKvm, entries("/proc/self/task"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static long entries(String folder) throws IOException {
        try (Stream<Path> entries = Files.list(Path.of(folder))) {
            return entries.count();
        }
    }
}
