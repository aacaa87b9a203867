package io.github.jkvm.machine.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.DeviceState;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Commands are those of the IBM Personal System/2 Hardware Interface Technical Reference. */
class I8042Test {
    private static final int DATA = 0x60;
    private static final int COMMAND = 0x64;

    private final List<GuestRequest> requests = new ArrayList<>();
    private final FakeBus bus = new FakeBus();
    private final I8042 device = new I8042(requests::add);

    I8042Test() {
        device.attach(bus);
    }

    private List<Integer> answers() {
        List<Integer> answers = new ArrayList<>();
        while ((bus.in(COMMAND) & 1) != 0) {
            answers.add(bus.in(DATA));
        }
        return answers;
    }

    @Test
    void commandFeResetsTheMachine() {
        bus.out(COMMAND, 0xFE);
        assertThat(requests).containsExactly(new GuestRequest.Reset("i8042"));
    }

    @ParameterizedTest
    @ValueSource(ints = {0xFF, 0xF1, 0xAA, 0x20, 0xED})
    void otherCommandsDoNot(int command) {
        bus.out(COMMAND, command);
        assertThat(requests).isEmpty();
    }

    @Test
    void resetLineOfTheOutputPortResetsTheMachine() {
        bus.out(COMMAND, 0xD1);
        bus.out(DATA, 0x03);
        assertThat(requests).isEmpty();
        bus.out(COMMAND, 0xD1);
        bus.out(DATA, 0x02);
        assertThat(requests).containsExactly(new GuestRequest.Reset("i8042"));
    }

    @Test
    void inputBufferIsNeverFull() {
        for (int command = 0; command < 0xFE; command++) {
            bus.out(COMMAND, command);
            assertThat(bus.in(COMMAND) & 0x02).isZero();
        }
    }

    @Test
    void passesItsSelfTests() {
        bus.out(COMMAND, 0xAA);
        assertThat(answers()).containsExactly(0x55);
        bus.out(COMMAND, 0xAB);
        assertThat(answers()).containsExactly(0x00);
        bus.out(COMMAND, 0xA9);
        assertThat(answers()).as("no auxiliary device").containsExactly(0x01);
    }

    @Test
    void keepsItsConfiguration() {
        bus.out(COMMAND, 0x60);
        bus.out(DATA, 0x41);
        bus.out(COMMAND, 0x20);
        assertThat(answers()).containsExactly(0x41);
        bus.out(COMMAND, 0xAD);
        bus.out(COMMAND, 0x20);
        assertThat(answers()).containsExactly(0x51);
        bus.out(COMMAND, 0xAE);
        bus.out(COMMAND, 0xA7);
        bus.out(COMMAND, 0x20);
        assertThat(answers()).containsExactly(0x61);
    }

    /** What Linux' atkbd asks (drivers/input/keyboard/atkbd.c, atkbd_probe and atkbd_activate). */
    @Test
    void keyboardAnswersItsDriver() {
        bus.out(DATA, 0xF2);
        assertThat(answers()).containsExactly(0xFA, 0xAB, 0x83);
        bus.out(DATA, 0xED);
        bus.out(DATA, 0x00);
        assertThat(answers()).containsExactly(0xFA, 0xFA);
        bus.out(DATA, 0xF0);
        bus.out(DATA, 0x00);
        assertThat(answers()).containsExactly(0xFA, 0xFA, 0x02);
        bus.out(DATA, 0xFF);
        assertThat(answers()).containsExactly(0xFA, 0xAA);
        bus.out(DATA, 0xF4);
        assertThat(answers()).containsExactly(0xFA);
        bus.out(DATA, 0xEE);
        assertThat(answers()).containsExactly(0xEE);
        bus.out(DATA, 0x55);
        assertThat(answers()).containsExactly(0xFE);
    }

    @Test
    void interruptsOncePerByte() {
        bus.out(COMMAND, 0x60);
        bus.out(DATA, 0x41);
        bus.out(DATA, 0xF2);
        assertThat(bus.line(1).edges).isEqualTo(1);
        bus.in(DATA);
        assertThat(bus.line(1).edges).isEqualTo(2);
        bus.in(DATA);
        bus.in(DATA);
        assertThat(bus.line(1).edges).isEqualTo(3);
        assertThat(bus.line(1).level).isFalse();
    }

    @Test
    void goesOnAfterRestore() {
        bus.out(DATA, 0xF2);
        bus.in(DATA);
        bus.out(COMMAND, 0x60);
        var state = new DeviceState(1);
        device.save(state);

        var otherBus = new FakeBus();
        var other = new I8042(requests::add);
        other.attach(otherBus);
        other.restore(DeviceState.decode(state.encode()));
        otherBus.out(DATA, 0x01);
        assertThat(otherBus.line(1).level)
                .as("the configuration was half written")
                .isTrue();
        assertThat(otherBus.in(DATA)).isEqualTo(0xAB);

        state.putNumber("config", 256);
        assertThatThrownBy(() -> other.restore(state)).hasMessageContaining("config");
    }

    @Test
    void resetForgetsAnswers() {
        bus.out(DATA, 0xF2);
        device.reset();
        assertThat(answers()).isEmpty();
    }

    @Property(tries = 200)
    void takesWhateverTheGuestWrites(@ForAll @Size(max = 200) List<@IntRange(max = 511) Integer> writes) {
        for (int write : writes) {
            bus.out(write > 0xFF ? COMMAND : DATA, write & 0xFF);
        }
        assertThat(answers()).hasSizeLessThanOrEqualTo(16);
    }
}
