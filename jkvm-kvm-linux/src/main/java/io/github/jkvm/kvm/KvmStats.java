package io.github.jkvm.kvm;

import static io.github.jkvm.kvm.layout.DeviceStructs.KVM_STATS_DESC;
import static io.github.jkvm.kvm.layout.DeviceStructs.KVM_STATS_HEADER;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_BASE_MASK;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_BASE_POW10;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_BASE_POW2;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_TYPE_CUMULATIVE;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_TYPE_INSTANT;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_TYPE_LINEAR_HIST;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_TYPE_LOG_HIST;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_TYPE_MASK;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_TYPE_PEAK;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_UNIT_BOOLEAN;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_UNIT_BYTES;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_UNIT_CYCLES;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_UNIT_MASK;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_UNIT_NONE;
import static io.github.jkvm.kvm.layout.StatsNumbers.KVM_STATS_UNIT_SECONDS;

import io.github.jkvm.HypervisorException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What the kernel has counted about a VM or a vCPU, at one moment (Linux, Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD). Which statistics there
 * are depends on the kernel and the processor.
 *
 * @param id the kernel's name for the VM or vCPU, such as {@code kvm-1234/vcpu-0}
 * @param statistics the statistics, in the kernel's order
 */
public record KvmStats(String id, List<Statistic> statistics) {
    private static final int FLAGS = (int) KVM_STATS_DESC.offset("flags");
    private static final int EXPONENT = (int) KVM_STATS_DESC.offset("exponent");
    private static final int SIZE = (int) KVM_STATS_DESC.offset("size");
    private static final int OFFSET = (int) KVM_STATS_DESC.offset("offset");
    private static final int BUCKET_SIZE = (int) KVM_STATS_DESC.offset("bucket_size");

    /** More than any kernel has, so that a misread header can't ask for gigabytes. */
    private static final int MOST_BYTES = 1 << 24;

    /** Copies the list. */
    public KvmStats {
        statistics = List.copyOf(statistics);
    }

    /** What the values of a statistic mean. */
    public enum Kind {
        /** Counts up. */
        CUMULATIVE,
        /** What is at this moment. */
        INSTANT,
        /** The highest so far. */
        PEAK,
        /** A histogram whose buckets are all as wide as {@link Statistic#bucketSize()}. */
        LINEAR_HISTOGRAM,
        /** A histogram whose bucket i counts values from 2<sup>i-1</sup> to 2<sup>i</sup>-1, the first one zeroes. */
        LOGARITHMIC_HISTOGRAM,
        /** One this library does not know. */
        UNKNOWN
    }

    /** What a statistic is measured in. */
    public enum Unit {
        /** Plain numbers. */
        NONE,
        /** Bytes. */
        BYTES,
        /** Seconds. */
        SECONDS,
        /** Cycles of the processor's clock. */
        CYCLES,
        /** 0 or 1. */
        BOOLEAN,
        /** One this library does not know. */
        UNKNOWN
    }

    /**
     * One statistic.
     *
     * @param name the kernel's name
     * @param kind what the values mean
     * @param unit what they are measured in
     * @param base what the exponent is a power of: 10 or 2, 0 for one this library does not know
     * @param exponent a value times {@code base} to the power of this is in {@code unit}: nanoseconds have -9
     * @param bucketSize width of the buckets of a {@link Kind#LINEAR_HISTOGRAM}, else 0
     * @param values one value, unsigned, or one for each bucket
     */
    public record Statistic(
            String name, Kind kind, Unit unit, int base, int exponent, long bucketSize, List<Long> values) {
        /** Copies the values. */
        public Statistic {
            values = List.copyOf(values);
        }

        /**
         * Returns the value of a statistic that is no histogram.
         *
         * @return the first value
         * @throws IllegalStateException if there are none or many
         */
        public long value() {
            if (values.size() != 1) {
                throw new IllegalStateException(name + " has " + values.size() + " values; use values()");
            }
            return values.getFirst();
        }
    }

    /**
     * Looks for a statistic.
     *
     * @param name its name
     * @return the statistic, empty if this kernel does not have it
     */
    public Optional<Statistic> find(String name) {
        return statistics.stream()
                .filter(statistic -> statistic.name.equals(name))
                .findFirst();
    }

    /** Where statistics are read from. */
    interface Source {
        /** Returns exactly {@code length} bytes from {@code offset} on, or throws a {@link HypervisorException}. */
        byte[] read(long offset, int length);
    }

    /**
     * Reads all statistics.
     *
     * @param source the file of {@code KVM_GET_STATS_FD}
     * @return the statistics
     * @throws HypervisorException if the file can't be read or understood
     */
    static KvmStats read(Source source) {
        ByteBuffer header = little(source.read(0, (int) KVM_STATS_HEADER.size()));
        int nameSize = (int) checked(unsigned(header, "name_size"), "name");
        int count = header.getInt((int) KVM_STATS_HEADER.offset("num_desc"));
        long ids = unsigned(header, "id_offset");
        long descriptors = unsigned(header, "desc_offset");
        long data = unsigned(header, "data_offset");
        long descriptorSize = KVM_STATS_DESC.size() + nameSize;
        long all = checked(Integer.toUnsignedLong(count) * descriptorSize, "descriptors");
        ByteBuffer table = little(source.read(descriptors, (int) all));

        List<Statistic> statistics = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            ByteBuffer descriptor = table.slice((int) (i * descriptorSize), (int) descriptorSize)
                    .order(ByteOrder.LITTLE_ENDIAN);
            long offset = Integer.toUnsignedLong(descriptor.getInt(OFFSET));
            int values = Short.toUnsignedInt(descriptor.getShort(SIZE));
            checked(offset + values * (long) Long.BYTES, "values");
            statistics.add(statistic(descriptor, nameSize, little(source.read(data + offset, values * Long.BYTES))));
        }
        return new KvmStats(text(little(source.read(ids, nameSize)), 0, nameSize), statistics);
    }

    private static Statistic statistic(ByteBuffer descriptor, int nameSize, ByteBuffer data) {
        List<Long> values = new ArrayList<>();
        while (data.remaining() >= Long.BYTES) {
            values.add(data.getLong());
        }
        int flags = descriptor.getInt(FLAGS);
        return new Statistic(
                text(descriptor, (int) KVM_STATS_DESC.size(), nameSize),
                switch (flags & KVM_STATS_TYPE_MASK) {
                    case KVM_STATS_TYPE_CUMULATIVE -> Kind.CUMULATIVE;
                    case KVM_STATS_TYPE_INSTANT -> Kind.INSTANT;
                    case KVM_STATS_TYPE_PEAK -> Kind.PEAK;
                    case KVM_STATS_TYPE_LINEAR_HIST -> Kind.LINEAR_HISTOGRAM;
                    case KVM_STATS_TYPE_LOG_HIST -> Kind.LOGARITHMIC_HISTOGRAM;
                    default -> Kind.UNKNOWN;
                },
                switch (flags & KVM_STATS_UNIT_MASK) {
                    case KVM_STATS_UNIT_NONE -> Unit.NONE;
                    case KVM_STATS_UNIT_BYTES -> Unit.BYTES;
                    case KVM_STATS_UNIT_SECONDS -> Unit.SECONDS;
                    case KVM_STATS_UNIT_CYCLES -> Unit.CYCLES;
                    case KVM_STATS_UNIT_BOOLEAN -> Unit.BOOLEAN;
                    default -> Unit.UNKNOWN;
                },
                switch (flags & KVM_STATS_BASE_MASK) {
                    case KVM_STATS_BASE_POW10 -> 10;
                    case KVM_STATS_BASE_POW2 -> 2;
                    default -> 0;
                },
                descriptor.getShort(EXPONENT),
                Integer.toUnsignedLong(descriptor.getInt(BUCKET_SIZE)),
                values);
    }

    private static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static long unsigned(ByteBuffer header, String field) {
        return Integer.toUnsignedLong(header.getInt((int) KVM_STATS_HEADER.offset(field)));
    }

    private static long checked(long bytes, String what) {
        if (bytes < 0 || bytes > MOST_BYTES) {
            throw new HypervisorException("the kernel's statistics have " + bytes + " bytes of " + what + "; at most "
                    + MOST_BYTES + " are expected");
        }
        return bytes;
    }

    private static String text(ByteBuffer buffer, int offset, int size) {
        int length = 0;
        while (length < size && buffer.get(offset + length) != 0) {
            length++;
        }
        byte[] bytes = new byte[length];
        buffer.get(offset, bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
