package io.github.jkvm.it.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.Board;
import io.github.jkvm.machine.Machine;
import io.github.jkvm.machine.MachineSnapshot;
import io.github.jkvm.machine.VmPool;
import io.github.jkvm.testkit.RequiresKvm;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@RequiresKvm
@Timeout(60)
class VmPoolTest {
    private static Hypervisor hypervisor;

    @BeforeAll
    static void open() {
        hypervisor = Hypervisor.open();
    }

    @AfterAll
    static void close() {
        hypervisor.close();
    }

    private static Machine counting() {
        return Machine.builder(hypervisor)
                .board(Board.MICRO)
                .memory(64 << 10)
                .kernel(Guests.COUNT)
                .build();
    }

    @Test
    void aPoolHandsOutEachMachineOnceAndNeverHasTooMany() throws Exception {
        Machine last;
        VmPool closed;
        try (Machine origin = counting();
                MachineSnapshot snapshot = origin.snapshot();
                var pool = new VmPool(
                        "clones",
                        2,
                        4,
                        () -> Machine.restore(hypervisor, snapshot).build())) {
            Set<Machine> taken = new HashSet<>();
            for (int i = 0; i < 4; i++) {
                taken.add(pool.take());
            }
            assertThat(taken).hasSize(4);
            assertThat(pool.handedOut()).isEqualTo(4);
            assertThatIllegalStateException()
                    .isThrownBy(() -> pool.take(Duration.ofMillis(50)))
                    .withMessageContaining("4 of at most 4 handed out");
            taken.iterator().next().close();
            Machine fifth = pool.take();
            assertThat(taken).doesNotContain(fifth);
            fifth.start();
            while (fifth.memory().readInt(Guests.RESULT) == 0) {
                Thread.onSpinWait();
            }
            last = fifth;
            closed = pool;
        }
        assertThat(last.exit()).isPresent();
        assertThatIllegalStateException().isThrownBy(closed::take).withMessage("the pool is closed");
    }

    @Test
    void aPoolTellsWhyItHasNoMachineAndTriesAgain() throws Exception {
        var broken = new AtomicBoolean(true);
        try (var pool = new VmPool("broken", 1, 1, () -> {
            if (broken.get()) {
                throw new IllegalArgumentException("no disk");
            }
            return counting();
        })) {
            assertThatIllegalArgumentException().isThrownBy(pool::take).withMessage("no disk");
            broken.set(false);
            Machine machine = null;
            while (machine == null) {
                try {
                    machine = pool.take();
                } catch (IllegalArgumentException triedBeforeItWasMended) {
                    assertThat(triedBeforeItWasMended).hasMessage("no disk");
                }
            }
            assertThat(machine.exit()).isEmpty();
        }
    }
}
