package io.github.jkvm.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class LimitsTest {
    @Test
    void changesOneAndKeepsTheOthers() {
        Limits limits = Limits.DEFAULT
                .withDeadline(Duration.ofMillis(5))
                .withCpuTime(Duration.ofMillis(3))
                .withOutput(7);
        assertThat(limits).isEqualTo(new Limits(Duration.ofMillis(5), Duration.ofMillis(3), 7));
    }

    @Test
    void refusesWhatMakesNoSense() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Limits.DEFAULT.withDeadline(Duration.ZERO))
                .withMessage("the deadline PT0S makes no sense; give a time above zero, or Limits.UNLIMITED");
        assertThatIllegalArgumentException().isThrownBy(() -> Limits.DEFAULT.withCpuTime(Duration.ofNanos(-1)));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Limits.DEFAULT.withDeadline(Limits.UNLIMITED.plusNanos(1)));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Limits.DEFAULT.withOutput(-1))
                .withMessageContaining("-1 bytes");
    }
}
