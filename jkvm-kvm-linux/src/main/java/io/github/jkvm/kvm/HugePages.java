package io.github.jkvm.kvm;

import io.github.jkvm.HypervisorException;
import io.github.jkvm.kvm.ffi.MappedMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The pages of a larger size that the host has set aside (Linux, Documentation/admin-guide/mm/hugetlbpage.rst). */
final class HugePages {
    /** One folder for each size the processor has. */
    static final Path FOLDER = Path.of("/sys/kernel/mm/hugepages");

    private static final String PREFIX = "hugepages-";
    private static final long KIB = 1024;

    private HugePages() {}

    /** The size as {@code mmap(2)} and {@code memfd_create(2)} take it. */
    static int sizeFlag(long pageSize) {
        return Long.numberOfTrailingZeros(pageSize) << MappedMemory.MAP_HUGE_SHIFT;
    }

    /** Checks that the host has enough pages free; the kernel's own answer would not say how many it has. */
    static void check(long size, long pageSize) {
        check(FOLDER, size, pageSize);
    }

    static void check(Path folder, long size, long pageSize) {
        Path pool = folder.resolve(PREFIX + pageSize / KIB + "kB");
        if (!Files.isDirectory(pool)) {
            throw new HypervisorException("the host has no huge pages of " + pageSize + " bytes; it knows the sizes "
                    + sizes(folder) + ", and ordinary pages always work (MemoryBacking.HOST_PAGES)");
        }
        long needed = size / pageSize;
        long total = read(pool.resolve("nr_hugepages"));
        long available = read(pool.resolve("free_hugepages")) - read(pool.resolve("resv_hugepages"));
        if (available < needed) {
            throw new HypervisorException("memory of " + size + " bytes needs " + needed + " huge pages of " + pageSize
                    + " bytes; the host has " + total + ", of which " + Math.max(available, 0)
                    + " are free. Reserve more with: echo " + (total - Math.max(available, 0) + needed)
                    + " | sudo tee " + pool.resolve("nr_hugepages"));
        }
    }

    private static String sizes(Path folder) {
        if (!Files.isDirectory(folder)) {
            return "none";
        }
        try (Stream<Path> pools = Files.list(folder)) {
            String sizes = pools.map(pool -> pool.getFileName().toString())
                    .filter(name -> name.startsWith(PREFIX))
                    .map(name -> name.substring(PREFIX.length()))
                    .sorted()
                    .collect(Collectors.joining(", "));
            return sizes.isEmpty() ? "none" : sizes;
        } catch (IOException e) {
            return "unknown (" + e + ")";
        }
    }

    private static long read(Path counter) {
        try {
            return Long.parseLong(Files.readString(counter).strip());
        } catch (IOException | NumberFormatException e) {
            throw new HypervisorException("can't read " + counter + ", which tells how many huge pages there are", e);
        }
    }
}
