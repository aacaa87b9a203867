package io.github.jkvm.machine;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.UnsupportedCapabilityException;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.machine.boot.FlatImage;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MachineBuilderTest {
    private static final FlatImage HALT =
            FlatImage.of(new byte[] {(byte) 0xF4}, GuestAddress.of(0x1000), EntryMode.REAL16);

    private final Hypervisor hypervisor = Fakes.hypervisor(8, true);

    private MachineBuilder builder() {
        return Machine.builder(hypervisor).kernel(HALT);
    }

    @Test
    void asksForAKernel() {
        assertThatThrownBy(() -> Machine.builder(hypervisor).build())
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("no kernel");
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 0, 9})
    void refusesCountsOfVCpusTheHostCannotGive(int count) {
        assertThatThrownBy(() -> builder().vcpus(count).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage(count + " vCPUs: the number must be from 1 to 8");
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 4095, 4097, -4096, (3L << 30) + 4096})
    void refusesSizesOfMicroMemoryOutOfRange(long size) {
        assertThatThrownBy(() -> builder().board(Board.MICRO).memory(size).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("memory of " + size + " bytes");
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1 << 20, (2 << 20) + 1, Long.MAX_VALUE})
    void refusesSizesOfPcMemoryOutOfRange(long size) {
        assertThatThrownBy(() -> builder().memory(size).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(Long.toString(size));
    }

    @Test
    void namesTheCapabilityThatThePcBoardLacks() {
        assertThatThrownBy(() ->
                        Machine.builder(Fakes.hypervisor(1, false)).kernel(HALT).build())
                .isInstanceOf(UnsupportedCapabilityException.class)
                .hasMessageContaining("the board PC needs it");
    }

    @Test
    void refusesADeadlineThatIsOver() {
        assertThatThrownBy(() -> builder().deadline(Duration.ZERO)).hasMessageContaining("above zero");
    }
}
