package io.github.jkvm.samples.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.machine.MachineExit.Reason;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OutcomeTest {

    @Test
    void passesTheGuestsStatusOnInSilence() throws Exception {
        var exit = new MachineExit(Reason.EXIT_CODE, "debug-exit", OptionalInt.of(37), null);
        assertThat(Outcome.of(exit, null, Options.parse(), "", Outcome.Ready.YES))
                .isEqualTo(new Outcome(37, ""));
    }

    @ParameterizedTest
    @CsvSource({
        "POWER_OFF, 0, ''",
        "SHUTDOWN, 0, ''",
        "HALT, 121, 'boot-linux: the guest halted: why'",
        "RESET, 121, 'boot-linux: the guest reset itself'",
        "ERROR, 121, 'boot-linux: the guest can''t be run on: why'",
        "TRIPLE_FAULT, 122, 'boot-linux: the guest ended in a triple fault: why'",
        "PANIC, 123, 'boot-linux: the guest''s kernel panicked'",
        "DEADLINE, 124, 'boot-linux: stopped at the time limit of 5 s'",
        "STOPPED, 130, 'boot-linux: ended with Ctrl-A x'"
    })
    void tellsHowTheGuestEndedOtherwise(Reason reason, int status, String explanation) throws Exception {
        Outcome outcome =
                Outcome.of(exit(reason), Outcome.Wish.QUIT, Options.parse("--timeout", "5"), "", Outcome.Ready.YES);
        assertThat(outcome.status()).isEqualTo(status);
        assertThat(outcome.explanation().strip()).isEqualTo(explanation);
    }

    @Test
    void takesAResetAfterAPanicForAPanicAndShowsIt() throws Exception {
        String tail = "[    1.0] Kernel panic - not syncing: no init\r\n";
        Outcome outcome = Outcome.of(exit(Reason.RESET), null, Options.parse(), tail, Outcome.Ready.NO);
        assertThat(outcome.status()).isEqualTo(123);
        assertThat(outcome.explanation()).isEqualTo("""
                boot-linux: the guest's kernel panicked
                boot-linux: the last that the guest printed:
                [    1.0] Kernel panic - not syncing: no init
                """);
    }

    @Test
    void repeatsNothingThatWasShown() throws Exception {
        Outcome outcome =
                Outcome.of(exit(Reason.PANIC), null, Options.parse("--verbose"), "messages", Outcome.Ready.NO);
        assertThat(outcome.explanation()).isEqualTo("boot-linux: the guest's kernel panicked\n");
    }

    @Test
    void saysNothingToAPipeThatIsClosed() throws Exception {
        var outcome =
                Outcome.of(exit(Reason.STOPPED), Outcome.Wish.STDOUT_CLOSED, Options.parse(), "", Outcome.Ready.YES);
        assertThat(outcome).isEqualTo(new Outcome(141, ""));
    }

    private static MachineExit exit(Reason reason) {
        return new MachineExit(reason, "why", OptionalInt.empty(), null);
    }
}
