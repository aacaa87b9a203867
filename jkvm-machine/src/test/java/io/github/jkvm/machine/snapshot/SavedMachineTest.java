package io.github.jkvm.machine.snapshot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.Bytes;
import java.util.Arrays;
import java.util.Random;
import java.util.SequencedMap;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

/** Sections whose checksums are right and whose contents are not: what a hostile file holds. */
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

    @Property(tries = 20_000)
    void hostileSectionsAreRefusedOrReadNeverMore(@ForAll long seed, @ForAll @IntRange(min = 1, max = 40) int changes) {
        SequencedMap<String, Bytes> sections = TestMachines.pc(1).toSections();
        var random = new Random(seed);
        String[] names = sections.keySet().toArray(String[]::new);
        String name = names[random.nextInt(names.length)];
        byte[] bytes = sections.get(name).toArray();
        for (int i = 0; i < changes; i++) {
            bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
        }
        sections.put(name, Bytes.copyOf(Arrays.copyOf(bytes, bytes.length - random.nextInt(3))));
        try {
            assertThat(SavedMachine.of(sections).cpus()).isNotEmpty();
        } catch (BadSectionException refused) {
            assertThat(refused).hasMessageContaining("section '");
        }
    }
}
