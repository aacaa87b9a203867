package io.github.jkvm.kvm.layout;

import io.github.jkvm.Bytes;
import java.lang.reflect.Constructor;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;

/** Arbitrary records: every component over all the values its field in C holds. */
final class Records {
    /** Highest value of the components that are narrower than their {@code int}; an empty name part stands for all others of a record. */
    private static final Map<String, Integer> HIGHEST = Map.ofEntries(
            Map.entry("Segment.limit", -1),
            Map.entry("Segment.selector", 0xFFFF),
            Map.entry("Segment.type", 0xF),
            Map.entry("Segment.dpl", 3),
            Map.entry("Segment.", 1),
            Map.entry("DescriptorTable.", 0xFFFF),
            Map.entry("FpuState.ftwx", 0xFF),
            Map.entry("FpuState.mxcsr", -1),
            Map.entry("FpuState.", 0xFFFF),
            Map.entry("VCpuEvents.exceptionErrorCode", -1),
            Map.entry("VCpuEvents.sipiVector", -1),
            Map.entry("VCpuEvents.flags", -1),
            Map.entry("VCpuEvents.", 0xFF),
            Map.entry("Pic.", 0xFF),
            Map.entry("Channel.count", -1),
            Map.entry("Channel.latchedCount", 0xFFFF),
            Map.entry("Channel.", 0xFF));

    /** Lengths of the lists in the records. */
    private static final Map<String, Integer> LENGTHS = Map.of(
            "SpecialRegisters.interruptBitmap", 4,
            "SpecialRegisters2.pdptrs", 4,
            "DebugRegisters.db", 4,
            "FpuState.fpr", 8,
            "FpuState.xmm", 16,
            "Ioapic.redirectionTable", 24,
            "PitState.channels", 3);

    private static final int FPU_REGISTER_SIZE = 16;

    private Records() {}

    /** Any record of a type. */
    static <T extends Record> Arbitrary<T> of(Class<T> type) {
        RecordComponent[] components = type.getRecordComponents();
        List<Arbitrary<Object>> parts = Arrays.stream(components)
                .map(component -> part(type.getSimpleName() + ".", component))
                .toList();
        return Combinators.combine(parts).as(values -> create(type, components, values));
    }

    private static <T extends Record> T create(Class<T> type, RecordComponent[] components, List<Object> values) {
        try {
            Class<?>[] types =
                    Arrays.stream(components).map(RecordComponent::getType).toArray(Class[]::new);
            Constructor<T> constructor = type.getDeclaredConstructor(types);
            return constructor.newInstance(values.toArray());
        } catch (ReflectiveOperationException e) {
            throw new LinkageError(e.getMessage(), e);
        }
    }

    private static Arbitrary<Object> part(String owner, RecordComponent component) {
        String name = owner + component.getName();
        if (component.getType() == List.class) {
            Type element = ((ParameterizedType) component.getGenericType()).getActualTypeArguments()[0];
            return value(name, (Class<?>) element)
                    .list()
                    .ofSize(LENGTHS.get(name))
                    .map(list -> list);
        }
        return value(HIGHEST.containsKey(name) ? name : owner, component.getType());
    }

    @SuppressWarnings("unchecked") // the type of each branch is that of the component
    private static Arbitrary<Object> value(String name, Class<?> type) {
        Arbitrary<?> arbitrary;
        if (type == int.class) {
            int highest = HIGHEST.getOrDefault(name, -1);
            arbitrary = highest < 0
                    ? Arbitraries.integers()
                    : Arbitraries.integers().between(0, highest);
        } else if (type == long.class || type == Long.class) {
            arbitrary = Arbitraries.longs();
        } else if (type == Bytes.class) {
            arbitrary = Arbitraries.bytes()
                    .array(byte[].class)
                    .ofSize(FPU_REGISTER_SIZE)
                    .map(Bytes::copyOf);
        } else {
            arbitrary = of(type.asSubclass(Record.class));
        }
        return (Arbitrary<Object>) arbitrary;
    }
}
