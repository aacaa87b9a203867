package io.github.jkvm.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.machine.MachineExit.Reason;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class MachineExitTest {
    @Test
    void readsAsALine() {
        assertThat(MachineExit.withCode(3, "debug-exit")).hasToString("EXIT_CODE 3: debug-exit");
        assertThat(MachineExit.of(Reason.POWER_OFF, "acpi-pm")).hasToString("POWER_OFF: acpi-pm");
    }

    @Test
    void codeBelongsToExitCodeAlone() {
        assertThatThrownBy(() -> new MachineExit(Reason.RESET, "i8042", OptionalInt.of(1), null))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("RESET");
        assertThatThrownBy(() -> new MachineExit(Reason.EXIT_CODE, "", OptionalInt.empty(), null))
                .isInstanceOf(IllegalArgumentException.class);
    }
}
