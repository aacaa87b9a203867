package io.github.jkvm.machine.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.DeviceState;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Clauses are those of the ACPI specification, version 6.5. */
class AcpiPmTest {
    private static final int STATUS = 0x600;
    private static final int ENABLE = 0x602;
    private static final int CONTROL = 0x604;
    private static final int TIMER = 0x608;
    private static final long HALF_RANGE_NANOS = (1L << 31) * 1_000_000_000L / 3_579_545 + 1;

    private final List<GuestRequest> requests = new ArrayList<>();
    private final FakeBus bus = new FakeBus();
    private long now = 123_456;
    private final AcpiPm pm = new AcpiPm(requests::add, () -> now);

    AcpiPmTest() {
        pm.attach(bus);
    }

    /** 4.8.3.2.1: SLP_EN with the type of \_S5 in SLP_TYP switches off. */
    @Test
    void sleepTypeFiveWithSleepEnableIsPowerOff() {
        bus.out(CONTROL, 2, 5 << 10);
        assertThat(requests).as("type alone does nothing").isEmpty();
        bus.out(CONTROL, 2, 5 << 10 | 1 << 13);
        assertThat(requests).containsExactly(new GuestRequest.PowerOff("acpi-pm"));
        assertThat(bus.in(CONTROL, 2))
                .as("SLP_EN reads as 0, SCI_EN is always set")
                .isEqualTo(5 << 10 | 1);
    }

    @Test
    void otherSleepTypesDoNothing() {
        for (int type = 0; type < 8; type++) {
            if (type != 5) {
                bus.out(CONTROL, 2, (long) type << 10 | 1 << 13);
            }
        }
        assertThat(requests).isEmpty();
    }

    /** 4.8.3.1.1: status bits are cleared by writing 1; the SCI is asserted while a bit is set in status and enable. */
    @Test
    void powerButtonAssertsTheSciUntilItsStatusIsCleared() {
        pm.pressPowerButton();
        assertThat(bus.line(9).level).as("not enabled yet").isFalse();
        bus.out(ENABLE, 2, 1 << 8);
        assertThat(bus.line(9).level).isTrue();
        assertThat(bus.in(STATUS, 2)).isEqualTo(1 << 8);
        bus.out(STATUS, 2, 0);
        assertThat(bus.line(9).level).as("writing 0 clears nothing").isTrue();
        bus.out(STATUS, 2, 1 << 8);
        assertThat(bus.line(9).level).isFalse();
        assertThat(bus.in(STATUS, 2)).isZero();
    }

    /** 4.8.2.1: 3.579545 MHz. */
    @Test
    void timerCountsAtItsFrequency() {
        long start = bus.in(TIMER, 4);
        now += 1_000_000_000L;
        assertThat(bus.in(TIMER, 4) - start).isEqualTo(3_579_545);
        now += 9_999_999_999_999L;
        assertThat(bus.in(TIMER, 4)).isEqualTo(35_795_450_000L + 3_579_545 - 1 & 0xFFFF_FFFFL);
        bus.out(TIMER, 4, 0);
        assertThat(bus.in(TIMER, 2)).as("in pieces too").isEqualTo(bus.in(TIMER, 4) & 0xFFFF);
    }

    /** 4.8.3.1.1: TMR_STS is set whenever the timer's most significant bit changes. */
    @Test
    void timerInterruptsWhenItsTopBitChanges() {
        bus.out(ENABLE, 2, 1);
        assertThat(bus.line(9).level).isFalse();
        now += HALF_RANGE_NANOS;
        assertThat(bus.loop.runNext())
                .isBetween(Duration.ofNanos(HALF_RANGE_NANOS - 1000), Duration.ofNanos(HALF_RANGE_NANOS + 1000));
        assertThat(bus.line(9).level).isTrue();
        bus.out(STATUS, 2, 1);
        assertThat(bus.line(9).level).isFalse();
        assertThat(bus.loop.events).as("armed for the next change").hasSize(1);
        for (int i = 0; i < 100; i++) {
            bus.out(ENABLE, 2, i & 1);
        }
        assertThat(bus.loop.events).hasSize(1);
    }

    @Test
    void timerGoesOnAfterRestore() {
        now += 60_000_000_000L;
        bus.out(ENABLE, 2, 0x0101);
        pm.pressPowerButton();
        var state = new DeviceState(1);
        pm.save(state);
        long ticks = bus.in(TIMER, 4);

        now = -5_000_000_000L;
        var otherBus = new FakeBus();
        var other = new AcpiPm(requests::add, () -> now);
        other.attach(otherBus);
        other.restore(DeviceState.decode(state.encode()));
        assertThat(otherBus.in(TIMER, 4)).isEqualTo(ticks);
        assertThat(otherBus.line(9).level).isTrue();
        assertThat(otherBus.loop.events).hasSize(1);

        state.putNumber("timerNanos", -1);
        assertThatThrownBy(() -> other.restore(state)).hasMessageContaining("timerNanos");
    }

    @Test
    void resetClearsAll() {
        bus.out(ENABLE, 2, 1 << 8);
        pm.pressPowerButton();
        pm.reset();
        assertThat(bus.line(9).level).isFalse();
        assertThat(bus.in(STATUS, 2)).isZero();
        assertThat(bus.in(ENABLE, 2)).isZero();
        assertThat(bus.in(TIMER, 4)).isZero();
    }
}
