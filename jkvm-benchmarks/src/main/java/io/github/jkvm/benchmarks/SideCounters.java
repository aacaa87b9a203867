package io.github.jkvm.benchmarks;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * What the kernel has counted for a process with a VM: by KVM (Linux, virt/kvm/kvm_main.c: a folder for each VM in debugfs), and how often its
 * threads have gone to sleep (proc(5): voluntary_ctxt_switches).
 */
final class SideCounters {
    private static final Path ROOT = Path.of("/sys/kernel/debug/kvm");
    private static final List<String> NAMES =
            List.of("exits", "io_exits", "mmio_exits", "irq_injections", "halt_exits", "halt_wakeup", "signal_exits");

    private SideCounters() {}

    /** Reads the counters; those of KVM are missing where debugfs is not mounted. */
    static Map<String, Long> of(long pid) throws IOException {
        Map<String, Long> counters = new TreeMap<>();
        if (Files.isDirectory(ROOT)) {
            try (DirectoryStream<Path> vms = Files.newDirectoryStream(ROOT, folder -> isOf(pid, folder))) {
                for (Path vm : vms) {
                    for (String name : NAMES) {
                        Path file = vm.resolve(name);
                        if (Files.isReadable(file)) {
                            counters.merge(
                                    name, Long.valueOf(Files.readString(file).strip()), Long::sum);
                        }
                    }
                }
            }
        }
        counters.put("sleeps", sleeps(pid));
        return counters;
    }

    private static long sleeps(long pid) throws IOException {
        long sum = 0;
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(Path.of("/proc", String.valueOf(pid), "task"))) {
            for (Path thread : threads) {
                for (String line : Files.readAllLines(thread.resolve("status"))) {
                    if (line.startsWith("voluntary_ctxt_switches:")) {
                        sum += Long.parseLong(
                                line.substring(line.indexOf(':') + 1).strip());
                    }
                }
            }
        } catch (NoSuchFileException ended) {
            // A thread that ends meanwhile counts no more.
        }
        return sum;
    }

    /** A VM's folder bears the number of the thread that made it. */
    private static boolean isOf(long pid, Path folder) {
        String name = folder.getFileName().toString();
        int dash = name.indexOf('-');
        return dash > 0 && Files.exists(Path.of("/proc", String.valueOf(pid), "task", name.substring(0, dash)));
    }

    /** Says how often each counter was counted up for each operation. */
    static String perOperation(Map<String, Long> before, Map<String, Long> after, double operations) {
        var text = new StringBuilder();
        for (Map.Entry<String, Long> counter : after.entrySet()) {
            long counted = counter.getValue() - before.getOrDefault(counter.getKey(), 0L);
            text.append(String.format(Locale.ROOT, " %s %.2f", counter.getKey(), counted / operations));
        }
        return text.toString();
    }
}
