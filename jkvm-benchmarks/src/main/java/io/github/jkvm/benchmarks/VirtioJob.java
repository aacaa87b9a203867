package io.github.jkvm.benchmarks;

import java.util.List;

/**
 * Something a guest does as fast as it can with one of its devices, for some seconds.
 *
 * @param name the figure's name
 * @param unit what is counted in a second
 * @param command prints the rate as a number, alone in a line
 * @param operationSize bytes that one operation moves, with which a rate in MB/s is turned to operations; 0 if the rate counts operations
 */
record VirtioJob(String name, String unit, String command, long operationSize) {
    /** Seconds that a job runs. */
    static final int SECONDS = 4;

    private static final long LARGE = 1 << 20;

    /** What a tap interface takes at once from a driver that leaves segmentation to it. */
    private static final long SEGMENT = 64 << 10;

    /**
     * Returns the jobs for a disk.
     *
     * @param disk its name in the guest
     */
    static List<VirtioJob> ofDisk(String disk) {
        return List.of(
                small("randread", 1, disk, 8),
                small("randwrite", 1, disk, 49),
                small("randread", 32, disk, 8),
                small("randwrite", 32, disk, 49),
                large("read", disk, 7),
                large("write", disk, 48));
    }

    /** Returns the jobs for a network whose other end runs {@code iperf3 -s} at this address. */
    static List<VirtioJob> ofNetwork(String address) {
        return List.of(network("send", address, ""), network("receive", address, "-R"));
    }

    private static VirtioJob small(String pattern, int depth, String disk, int field) {
        return new VirtioJob(
                "virtio.block." + pattern + "-4k-depth" + depth, "IOPS", fio(pattern, "4k", depth, disk, field), 0);
    }

    private static VirtioJob large(String pattern, String disk, int field) {
        String megabytes = fio(pattern, "1M", 4, disk, field) + " | awk '{ print $1 / 1024 }'";
        return new VirtioJob("virtio.block." + pattern + "-1M", "MiB/s", megabytes, LARGE);
    }

    /** The fields are those of fio's "terse" output, version 3 (fio's HOWTO, "Terse output"): bandwidths in KiB/s, and IOPS. */
    private static String fio(String pattern, String size, int depth, String disk, int field) {
        return "fio --name=job --filename=" + disk + " --rw=" + pattern + " --bs=" + size + " --iodepth=" + depth
                + " --direct=1 --ioengine=libaio --time_based --runtime=" + SECONDS
                + " --ramp_time=1 --randrepeat=0 --norandommap --minimal | cut -d ';' -f " + field;
    }

    private static VirtioJob network(String name, String address, String direction) {
        return new VirtioJob(
                "virtio.net." + name,
                "Mbit/s",
                "iperf3 -c " + address + " -t " + SECONDS + " -O 1 -f m " + direction
                        + " | awk '/receiver/ { print $(NF - 2) }'",
                SEGMENT);
    }

    /** Says how many operations a second a rate stands for. */
    double operations(double rate) {
        return switch (unit) {
            case "MiB/s" -> rate * (1 << 20) / operationSize;
            case "Mbit/s" -> rate * 1e6 / 8 / operationSize;
            default -> rate;
        };
    }
}
