package io.github.jkvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What the value types refuse, and that they stay as they were made. */
class ValuesTest {

    @Test
    void memorySizesMustFitTheirPages() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> MemoryBacking.anonymous(0))
                .withMessageContaining("size 0");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> MemoryBacking.hugePages(4096, 2 << 20))
                .withMessageContaining("multiple of the page size 2097152");
        assertThatIllegalArgumentException().isThrownBy(() -> MemoryBacking.hugePages(4096, 3000));
        assertThatIllegalArgumentException().isThrownBy(() -> MemoryBacking.hugePages(4096, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> MemoryBacking.memfd(4096, "a\0b"));
        assertThatIllegalArgumentException().isThrownBy(() -> MemoryBacking.memfd(4096, "x".repeat(250)));
        assertThatIllegalArgumentException().isThrownBy(() -> MemoryBacking.sharedFile(Path.of("x"), -1, 4096));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> MemoryBacking.copyOnWriteFile(Path.of("x"), Long.MAX_VALUE, 4096));
    }

    @Test
    void doorbellsMustBeSomethingTheHostCanMatch() {
        assertThatIllegalArgumentException().isThrownBy(() -> Doorbell.Match.port(0x1_0000, 1));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Doorbell.Match.mmio(GuestAddress.ZERO, 3))
                .withMessageContaining("length 3");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Doorbell.Match.mmio(GuestAddress.ZERO, 0).withValue(1))
                .withMessageContaining("needs a length");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Doorbell.Match.port(0x10, 2).withValue(0x1_0000))
                .withMessage("doorbell value 0x10000 does not fit a write of 2 bytes");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Doorbell.Match.port(0x10, 1).withValue(-129));
        assertThatIllegalArgumentException().isThrownBy(() -> Doorbell.Match.port(0x10, 8));
        assertThat(Doorbell.Match.port(0x10, 2).withValue(7).value()).isEqualTo(7);
        assertThat(Doorbell.Match.port(0x10, 1).withValue(-128).value()).isEqualTo(-128);
        assertThat(Doorbell.Match.mmio(GuestAddress.ZERO, 8)
                        .withValue(Long.MIN_VALUE)
                        .value())
                .isEqualTo(Long.MIN_VALUE);
    }

    @Test
    void routesMayNotBeNegative() {
        assertThatIllegalArgumentException().isThrownBy(() -> new InterruptRoute.Pin(0, -1, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> new InterruptRoute.Message(-1, 0, 0));
    }

    @Test
    void exitsKeepWhatTheyWereMadeWith() {
        List<Long> data = new ArrayList<>(List.of(1L));
        var exit = new VmExit.InternalError(1, data);
        data.add(2L);
        assertThat(exit.data()).containsExactly(1L);
    }
}
