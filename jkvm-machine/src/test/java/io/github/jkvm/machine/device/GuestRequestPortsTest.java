package io.github.jkvm.machine.device;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.DeviceState;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class GuestRequestPortsTest {
    private final List<GuestRequest> requests = new ArrayList<>();
    private final FakeBus bus = new FakeBus();

    @Test
    void debugExitGivesTheValueWrittenAsCode() {
        new DebugExit(requests::add).attach(bus);
        bus.out(0x501, 1, 0);
        bus.out(0x501, 2, 0xFFFF);
        bus.out(0x501, 4, 0xFFFF_FFFFL);
        assertThat(requests)
                .containsExactly(
                        new GuestRequest.Exit("debug-exit", 0),
                        new GuestRequest.Exit("debug-exit", 0xFFFF),
                        new GuestRequest.Exit("debug-exit", -1));
        bus.out(0x502, 1, 7);
        assertThat(requests).as("only the first port counts").hasSize(3);
        assertThat(bus.in(0x501)).isEqualTo(0xFF);
    }

    /** QEMU, docs/specs/pvpanic.rst: bit 0 panicked, bit 1 crash loaded, bit 2 shutdown; a read gives the supported ones. */
    @Test
    void pvpanicTellsWhichEventsItTakes() {
        var device = new PvPanic(requests::add);
        device.attach(bus);
        assertThat(bus.in(0x505)).isEqualTo(0x07);
        bus.out(0x505, 0x02);
        assertThat(requests)
                .as("a crash the guest deals with does not end the machine")
                .isEmpty();
        assertThat(device.crashesHandledByGuest()).isEqualTo(1);
        bus.out(0x505, 0x01);
        bus.out(0x505, 0x04);
        bus.out(0x505, 0xF8);
        assertThat(requests).containsExactly(new GuestRequest.Panic("pvpanic"), new GuestRequest.PowerOff("pvpanic"));
    }

    /** Intel 82371SB, reset control register: a change of bit 2 from 0 to 1 resets. */
    @Test
    void resetControlResetsOnBitTwo() {
        var device = new ResetControl(requests::add);
        device.attach(bus);
        bus.out(0xCF9, 0x02);
        assertThat(requests).isEmpty();
        assertThat(bus.in(0xCF9)).isEqualTo(0x02);
        bus.out(0xCF9, ResetControl.RESET_VALUE);
        assertThat(requests).containsExactly(new GuestRequest.Reset("reset-control"));

        var state = new DeviceState(1);
        device.save(state);
        device.reset();
        assertThat(bus.in(0xCF9)).isZero();
        device.restore(state);
        assertThat(bus.in(0xCF9)).isEqualTo(0x02);
    }

    @Test
    void debugConsoleWritesBytesAndShowsThatItIsThere() {
        var output = new ByteArrayOutputStream();
        new DebugConsole(output).attach(bus);
        for (byte b : "boot\n".getBytes(StandardCharsets.US_ASCII)) {
            bus.out(0xE9, b & 0xFF);
        }
        assertThat(output).hasToString("boot\n");
        assertThat(bus.in(0xE9)).isEqualTo(0xE9);
    }

    @Test
    void debugConsoleOutlivesAnOutputThatFails() {
        new DebugConsole(new OutputStream() {
                    @Override
                    public void write(int value) throws IOException {
                        throw new IOException("closed pipe");
                    }
                })
                .attach(bus);
        bus.out(0xE9, 'x');
        assertThat(bus.in(0xE9)).isEqualTo(0xE9);
    }
}
