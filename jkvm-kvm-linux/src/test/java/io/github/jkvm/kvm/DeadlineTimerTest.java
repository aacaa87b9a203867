package io.github.jkvm.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class DeadlineTimerTest {
    private static final long LONG_SECONDS = 60;

    /** Has one deadline, and tells when it was met. */
    private static final class Alarm implements DeadlineTimer.Member {
        final CountDownLatch met = new CountDownLatch(1);
        private volatile long deadline;
        private volatile boolean set;

        void set(DeadlineTimer timer, long nanosFromNow) {
            deadline = System.nanoTime() + nanosFromNow;
            set = true;
            timer.watch(this, deadline);
        }

        @Override
        public long expire(long now) {
            if (!set) {
                return NONE;
            }
            if (deadline - now > 0) {
                return deadline - now;
            }
            set = false;
            met.countDown();
            return NONE;
        }
    }

    private static boolean met(Alarm alarm) throws InterruptedException {
        return alarm.met.await(LONG_SECONDS, TimeUnit.SECONDS);
    }

    @Test
    void meetsAnEarlierDeadlineThanTheOneItSleepsFor() throws InterruptedException {
        try (var timer = new DeadlineTimer()) {
            Alarm late = new Alarm();
            late.set(timer, TimeUnit.DAYS.toNanos(1));
            Alarm early = new Alarm();
            early.set(timer, TimeUnit.MILLISECONDS.toNanos(5));
            assertThat(met(early)).isTrue();
            assertThat(late.met.getCount()).isEqualTo(1);
        }
    }

    @Test
    void meetsEveryDeadlineOfManyMembers() throws InterruptedException {
        try (var timer = new DeadlineTimer()) {
            for (int round = 0; round < 200; round++) {
                Alarm[] alarms = new Alarm[5];
                for (int i = 0; i < alarms.length; i++) {
                    alarms[i] = new Alarm();
                    alarms[i].set(timer, (alarms.length - i) * 10_000L);
                }
                for (Alarm alarm : alarms) {
                    assertThat(met(alarm)).isTrue();
                    timer.forget(alarm);
                }
            }
        }
    }

    @Test
    void endsItsThreadWhenClosedAndStartsNoneAfter() {
        var timer = new DeadlineTimer();
        Alarm alarm = new Alarm();
        alarm.set(timer, TimeUnit.DAYS.toNanos(1));
        timer.close();
        timer.close();
        alarm.set(timer, 0);
        assertThat(alarm.met.getCount()).isEqualTo(1);
    }

    @Test
    void startsNoThreadBeforeThereIsADeadline() {
        try (var timer = new DeadlineTimer()) {
            assertThat(timer).hasFieldOrPropertyWithValue("thread", null);
        }
    }
}
