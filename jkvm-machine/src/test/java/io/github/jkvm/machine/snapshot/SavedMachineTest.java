package io.github.jkvm.machine.snapshot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Bytes;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;

class SavedMachineTest {
    @Test
    void sectionsAreReadAsTheyWereWritten() throws Exception {
        SavedMachine machine = TestMachines.pc(5);
        SavedMachine read = SavedMachine.of(machine.toSections());
        assertThat(read.shape()).isEqualTo(machine.shape());
        assertThat(read.cpus()).isEqualTo(machine.cpus());
        assertThat(read.chips()).isEqualTo(machine.chips());
    }

    @Test
    void aMissingSectionIsNamed() {
        for (String name : TestMachines.pc(1).toSections().sequencedKeySet()) {
            if (name.equals("device serial0") || name.equals("cpu 1")) {
                // The board's own devices are looked for when the machine is restored; one processor less is a machine
                // too.
                continue;
            }
            SequencedMap<String, Bytes> sections = TestMachines.pc(1).toSections();
            sections.remove(name);
            assertThatThrownBy(() -> SavedMachine.of(sections))
                    .isInstanceOf(BadSectionException.class)
                    .hasMessageContaining(name);
        }
    }
}
