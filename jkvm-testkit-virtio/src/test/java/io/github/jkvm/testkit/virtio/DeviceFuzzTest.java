package io.github.jkvm.testkit.virtio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Fuzzing finds what devices do wrong, and a seed repeats it. */
class DeviceFuzzTest {
    private static Chain request(Choices choices, int queue) {
        return Chain.of().readable(choices.bytes(20)).writable(choices.below(40));
    }

    private static DeviceFuzz fuzz(EchoMmio.Habit habit) {
        return DeviceFuzz.of(() -> new EchoMmio(habit), DeviceFuzzTest::request).cases(1000);
    }

    @Test
    void leavesADeviceAloneThatSurvives() {
        fuzz(EchoMmio.Habit.GOOD).run();
    }

    @Test
    void findsADeviceThatThrowsAndNamesTheSeed() {
        var devices = new int[1];
        DeviceFuzz fuzz = DeviceFuzz.of(
                        () -> {
                            devices[0]++;
                            return new EchoMmio(EchoMmio.Habit.THROWS_AT_LONG_REQUESTS);
                        },
                        DeviceFuzzTest::request)
                .cases(1000)
                .seed(77);
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(fuzz::run)
                .withMessageContaining("-Djkvm.fuzz.seed=77")
                .withMessageContaining("too long for me");
        assertThat(devices[0]).isOne();
    }

    @Test
    void findsADeviceThatHangsAndShowsWhere() {
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(fuzz(EchoMmio.Habit.LOOPS).timeLimit(Duration.ofMillis(300))::run)
                .withMessageContaining("has not come to an end")
                .satisfies(failure -> assertThat(failure.getCause().getStackTrace())
                        .anyMatch(frame -> frame.getClassName().endsWith("EchoMmio")));
    }

    @Test
    void findsADeviceThatAllocatesMuch() {
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(fuzz(EchoMmio.Habit.ALLOCATES_MUCH).allocationLimit(10 << 20)::run)
                .withMessageContaining("the limit is 10485760");
    }

    @Test
    void looksAtWhatMustHoldAfterEachCase() {
        DeviceFuzz fuzz = DeviceFuzz.ofDevices(
                choices -> new FuzzedDevice(new EchoMmio(EchoMmio.Habit.NEVER_ANSWERS), () -> {
                    throw new AssertionError("does not hold");
                }),
                DeviceFuzzTest::request);
        assertThatExceptionOfType(AssertionError.class).isThrownBy(fuzz::run).withMessageContaining("does not hold");
    }

    @Test
    void makesTheSameCasesOfTheSameSeed() {
        List<List<String>> runs = new ArrayList<>();
        for (long seed : new long[] {5, 5, 6}) {
            List<String> requests = new ArrayList<>();
            DeviceFuzz.of(() -> new EchoMmio(EchoMmio.Habit.NEVER_ANSWERS), (choices, queue) -> {
                        Chain chain = request(choices, queue);
                        requests.add(chain.toString());
                        return chain;
                    })
                    .cases(100)
                    .seed(seed)
                    .run();
            runs.add(requests);
        }
        assertThat(runs.get(1)).isEqualTo(runs.get(0)).hasSizeGreaterThan(100);
        assertThat(runs.get(2)).isNotEqualTo(runs.get(0));
    }
}
