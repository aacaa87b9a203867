package io.github.jkvm.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.HypervisorException;
import io.github.jkvm.kvm.KvmStats.Kind;
import io.github.jkvm.kvm.KvmStats.Statistic;
import io.github.jkvm.kvm.KvmStats.Unit;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class KvmStatsTest {
    private static final int NAME_SIZE = 48;
    private static final int IDS = 24;
    private static final int DESCRIPTORS = IDS + NAME_SIZE;
    private static final int DESCRIPTOR_SIZE = 16 + NAME_SIZE;
    private static final int DATA = DESCRIPTORS + 3 * DESCRIPTOR_SIZE;

    private final ByteBuffer file = ByteBuffer.allocate(DATA + 0x40).order(ByteOrder.LITTLE_ENDIAN);

    private byte[] read(long offset, int length) {
        if (offset + length > file.capacity()) {
            throw new HypervisorException("the file ends");
        }
        return Arrays.copyOfRange(file.array(), (int) offset, (int) offset + length);
    }

    private void header(int nameSize, int count) {
        file.putInt(0, 0)
                .putInt(4, nameSize)
                .putInt(8, count)
                .putInt(12, IDS)
                .putInt(16, DESCRIPTORS)
                .putInt(20, DATA);
    }

    private void descriptor(int index, int flags, int exponent, int size, int offset, int bucket, String name) {
        int at = DESCRIPTORS + index * DESCRIPTOR_SIZE;
        file.putInt(at, flags)
                .putShort(at + 4, (short) exponent)
                .putShort(at + 6, (short) size)
                .putInt(at + 8, offset)
                .putInt(at + 12, bucket)
                .put(at + 16, name.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void readsEveryPartOfTheFile() {
        header(NAME_SIZE, 3);
        file.put(IDS, "kvm-42/vcpu-0".getBytes(StandardCharsets.UTF_8));
        descriptor(0, 0x000, 0, 1, 0, 0, "exits");
        descriptor(1, 0x024, -9, 3, 8, 0, "halt_poll_success_hist");
        descriptor(2, 0x141, 20, 1, 0x20, 0, "blocking");
        file.putLong(DATA, 77).putLong(DATA + 8, 1).putLong(DATA + 16, 2).putLong(DATA + 24, 3);
        file.putLong(DATA + 0x20, 1);

        KvmStats stats = KvmStats.read(this::read);

        assertThat(stats.id()).isEqualTo("kvm-42/vcpu-0");
        assertThat(stats.statistics())
                .containsExactly(
                        new Statistic("exits", Kind.CUMULATIVE, Unit.NONE, 10, 0, 0, List.of(77L)),
                        new Statistic(
                                "halt_poll_success_hist",
                                Kind.LOGARITHMIC_HISTOGRAM,
                                Unit.SECONDS,
                                10,
                                -9,
                                0,
                                List.of(1L, 2L, 3L)),
                        new Statistic("blocking", Kind.INSTANT, Unit.BOOLEAN, 2, 20, 0, List.of(1L)));
        assertThat(stats.find("exits").orElseThrow().value()).isEqualTo(77);
        assertThat(stats.find("none")).isEmpty();
        assertThatThrownBy(
                        () -> stats.find("halt_poll_success_hist").orElseThrow().value())
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("halt_poll_success_hist has 3 values; use values()");
    }

    @Test
    void readsKindsAndUnitsOfNewerKernelsAsUnknown() {
        header(NAME_SIZE, 1);
        descriptor(0, 0xFFF, 0, 1, 0, 5, "new");

        assertThat(KvmStats.read(this::read).statistics())
                .containsExactly(new Statistic("new", Kind.UNKNOWN, Unit.UNKNOWN, 0, 0, 5, List.of(0L)));
    }

    @Test
    void refusesAHeaderThatAsksForTooMuch() {
        header(NAME_SIZE, 0x7FFF_FFFF);
        assertThatThrownBy(() -> KvmStats.read(this::read))
                .isInstanceOf(HypervisorException.class)
                .hasMessageContaining("bytes of descriptors; at most 16777216 are expected");

        header(-1, 1);
        assertThatThrownBy(() -> KvmStats.read(this::read)).isInstanceOf(HypervisorException.class);

        header(NAME_SIZE, 1);
        descriptor(0, 0, 0, 1, 0x7FFF_FFF0, 0, "far");
        assertThatThrownBy(() -> KvmStats.read(this::read)).isInstanceOf(HypervisorException.class);
    }
}
