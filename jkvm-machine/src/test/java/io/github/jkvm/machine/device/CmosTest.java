package io.github.jkvm.machine.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.DeviceState;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

/** Clauses are those of the Motorola MC146818 data sheet. */
class CmosTest {
    private static final int SECONDS = 0;
    private static final int SECONDS_ALARM = 1;
    private static final int MINUTES = 2;
    private static final int MINUTES_ALARM = 3;
    private static final int HOURS = 4;
    private static final int HOURS_ALARM = 5;
    private static final int DAY_OF_WEEK = 6;
    private static final int DAY = 7;
    private static final int MONTH = 8;
    private static final int YEAR = 9;
    private static final int A = 0x0A;
    private static final int B = 0x0B;
    private static final int C = 0x0C;
    private static final int D = 0x0D;
    private static final int CENTURY = 0x32;

    private final MovableClock clock = new MovableClock(Instant.parse("2031-12-28T23:59:58Z"));
    private final FakeBus bus = new FakeBus();
    private final Cmos cmos = new Cmos(clock);

    CmosTest() {
        cmos.attach(bus);
    }

    private static final class MovableClock extends Clock {
        private Instant now;

        MovableClock(Instant now) {
            this.now = now;
        }

        void advance(Duration step) {
            now = now.plus(step);
        }

        @Override
        public ZoneId getZone() {
            return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(ZoneId zone) {
            return this;
        }

        @Override
        public Instant instant() {
            return now;
        }
    }

    private int get(int index) {
        bus.out(0x70, index);
        return bus.in(0x71);
    }

    private void set(int index, int value) {
        bus.out(0x70, index);
        bus.out(0x71, value);
    }

    private int[] time() {
        return new int[] {
            get(CENTURY), get(YEAR), get(MONTH), get(DAY), get(DAY_OF_WEEK), get(HOURS), get(MINUTES), get(SECONDS)
        };
    }

    @Test
    void showsTheTimeInDecimalDigitsAndTwentyFourHours() {
        // The 28th of December 2031 is a Sunday, day 1 of the week.
        assertThat(time()).containsExactly(0x20, 0x31, 0x12, 0x28, 0x01, 0x23, 0x59, 0x58);
        assertThat(get(B)).isEqualTo(0x02);
        assertThat(get(D)).as("valid RAM and time").isEqualTo(0x80);
    }

    @Test
    void showsTheTimeInBinaryAndTwelveHours() {
        set(B, 0x04);
        assertThat(time()).containsExactly(0x20, 31, 12, 28, 1, 0x80 | 11, 59, 58);
        clock.advance(Duration.ofSeconds(2));
        assertThat(get(HOURS)).as("midnight is 12 AM").isEqualTo(12);
        clock.advance(Duration.ofHours(12));
        assertThat(get(HOURS)).as("noon is 12 PM").isEqualTo(0x80 | 12);
    }

    @Property(tries = 300)
    void everyTimeTheGuestSetsIsTheTimeItReads(
            @ForAll @LongRange(max = 4_102_444_799L) long epochSecond, @ForAll @IntRange(max = 3) int format) {
        set(B, 0x80 | format << 1);
        var target = new Cmos(Clock.fixed(Instant.ofEpochSecond(epochSecond), ZoneOffset.UTC));
        var targetBus = new FakeBus();
        target.attach(targetBus);
        targetBus.out(0x70, B);
        targetBus.out(0x71, format << 1);
        for (int index : new int[] {SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR, CENTURY}) {
            targetBus.out(0x70, index);
            set(index, targetBus.in(0x71));
        }
        set(B, format << 1);
        clock.advance(Duration.ofSeconds(1));
        set(B, 0x06);
        var expected = LocalDateTime.ofEpochSecond(epochSecond + 1, 0, ZoneOffset.UTC);
        assertThat(new int[] {get(YEAR), get(MONTH), get(DAY), get(HOURS), get(MINUTES), get(SECONDS)})
                .containsExactly(
                        expected.getYear() % 100,
                        expected.getMonthValue(),
                        expected.getDayOfMonth(),
                        expected.getHour(),
                        expected.getMinute(),
                        expected.getSecond());
    }

    /** "Register B, SET": while set, updates stop so that the program may set the time without one. */
    @Test
    void holdsTheTimeWhileSetIsOn() {
        set(B, 0x82);
        clock.advance(Duration.ofMinutes(5));
        assertThat(get(MINUTES)).isEqualTo(0x59);
        set(MINUTES, 0x30);
        set(B, 0x02);
        assertThat(get(MINUTES)).isEqualTo(0x30);
        clock.advance(Duration.ofMinutes(1));
        assertThat(get(MINUTES)).isEqualTo(0x31);
    }

    @Test
    void keepsItsTimeWhenTheGuestSetsNone() {
        set(B, 0x82);
        set(MONTH, 0x13);
        set(B, 0x02);
        assertThat(time()).containsExactly(0x20, 0x31, 0x12, 0x28, 0x01, 0x23, 0x59, 0x58);
    }

    /** "Update cycle": UIP is set at least 244 microseconds before the update. */
    @Test
    void tellsThatAnUpdateIsComing() {
        assertThat(get(A)).isEqualTo(0x26);
        clock.advance(Duration.ofNanos(999_800_000));
        assertThat(get(A)).isEqualTo(0xA6);
        clock.advance(Duration.ofNanos(200_000));
        assertThat(get(A)).isEqualTo(0x26);
        assertThat(get(SECONDS)).isEqualTo(0x59);
    }

    @Test
    void updateEndedInterruptComesWithTheNextSecond() {
        clock.advance(Duration.ofMillis(300));
        set(B, 0x12);
        assertThat(bus.line(8).level).isFalse();
        assertThat(bus.loop.events).hasSize(1);
        clock.advance(Duration.ofMillis(700));
        assertThat(bus.loop.runNext()).isEqualTo(Duration.ofMillis(700));
        assertThat(bus.line(8).level).isTrue();
        assertThat(get(C) & ~0x40).as("PF is set whatever is enabled").isEqualTo(0x90);
        assertThat(bus.line(8).level).as("reading C lowers IRQ").isFalse();
        assertThat(get(C)).isZero();
        assertThat(bus.loop.events).as("armed again").hasSize(1);
    }

    /** "Periodic Interrupt Selection": rate 6 is 1024 Hz with a time base of 32768 Hz. */
    @Test
    void periodicInterruptComesAtItsRate() {
        set(B, 0x42);
        clock.advance(Duration.ofNanos(976_563));
        assertThat(bus.loop.runNext()).isEqualTo(Duration.ofNanos(976_562));
        assertThat(get(C)).isEqualTo(0xC0);
        set(A, 0x2F);
        clock.advance(Duration.ofMillis(500));
        assertThat(get(C)).isEqualTo(0xC0 | 0x00);
        set(A, 0x20);
        clock.advance(Duration.ofMillis(400));
        assertThat(get(C)).as("rate 0 is never").isZero();
    }

    @Test
    void alarmComesWhenEveryByteMatches() {
        set(HOURS_ALARM, 0x00);
        set(MINUTES_ALARM, 0x00);
        set(SECONDS_ALARM, 0x01);
        get(C);
        clock.advance(Duration.ofSeconds(2));
        assertThat(get(C) & 0x20).isZero();
        clock.advance(Duration.ofSeconds(1));
        assertThat(get(C) & 0x20).isEqualTo(0x20);
    }

    /** An alarm byte from 0xc0 to 0xff is a "don't care". */
    @Test
    void alarmOfDontCaresComesEverySecond() {
        set(HOURS_ALARM, 0xFF);
        set(MINUTES_ALARM, 0xC0);
        set(SECONDS_ALARM, 0xC0);
        set(B, 0x22);
        clock.advance(Duration.ofSeconds(1));
        bus.loop.runNext();
        assertThat(bus.line(8).level).isTrue();
        assertThat(get(C) & 0xA0).isEqualTo(0xA0);
    }

    @Test
    void alarmIsNotMissedOverALongPause() {
        set(HOURS_ALARM, 0x12);
        set(MINUTES_ALARM, 0x00);
        set(SECONDS_ALARM, 0x00);
        clock.advance(Duration.ofDays(1000));
        assertThat(get(C) & 0x30).isEqualTo(0x30);
    }

    @Test
    void guestThatRewritesControlDoesNotPileUpEvents() {
        for (int i = 0; i < 1000; i++) {
            set(B, 0x12);
            set(B, 0x02);
        }
        assertThat(bus.loop.events).hasSizeLessThanOrEqualTo(1);
    }

    @Test
    void keepsMemoryOfTheGuest() {
        set(0x40, 0xAB);
        assertThat(get(0x40)).isEqualTo(0xAB);
        bus.out(0x70, 0x80 | 0x40);
        assertThat(bus.in(0x71)).as("bit 7 is the NMI mask").isEqualTo(0xAB);
    }

    @Test
    void goesOnAfterRestoreWithTheHostsTime() {
        set(B, 0x80 | 0x06);
        set(YEAR, 77);
        set(B, 0x16);
        set(0x40, 0x55);
        var state = new DeviceState(1);
        cmos.save(state);
        clock.advance(Duration.ofMinutes(2));

        var otherBus = new FakeBus();
        var other = new Cmos(clock);
        other.attach(otherBus);
        other.restore(DeviceState.decode(state.encode()));
        assertThat(otherBus.loop.events).as("the interrupt is armed").hasSize(1);
        otherBus.out(0x70, YEAR);
        assertThat(otherBus.in(0x71)).isEqualTo(77);
        otherBus.out(0x70, 0x40);
        assertThat(otherBus.in(0x71)).isEqualTo(0x55);

        state.putBytes("memory", new byte[127]);
        assertThatThrownBy(() -> other.restore(state)).hasMessageContaining("127");
    }

    @Test
    void resetTurnsInterruptsOffAndKeepsMemory() {
        set(B, 0x72);
        set(0x40, 0x55);
        cmos.reset();
        assertThat(get(B)).isEqualTo(0x02);
        assertThat(get(0x40)).isEqualTo(0x55);
    }

    @Property(tries = 200)
    void takesWhateverTheGuestWrites(@ForAll @Size(max = 100) byte[] script) {
        for (int i = 0; i + 1 < script.length; i += 2) {
            set(script[i] & 0x7F, script[i + 1] & 0xFF);
            clock.advance(Duration.ofMillis(script[i] & 0xFF));
            get(script[i + 1] & 0x7F);
        }
        var state = new DeviceState(1);
        cmos.save(state);
        cmos.restore(state);
    }
}
