package io.github.jkvm.testkit.scripted;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.VmExit;
import org.junit.jupiter.api.Test;

/** What becomes of a guest that fails, where exceptions are delivered as a processor delivers them. */
public interface FaultContract extends HypervisorContract {

    @Test
    default void returnsShutdownOnATripleFault() {
        try (var guest = start(PairedGuest.TRIPLE_FAULT)) {
            assertThat(guest.run()).isEqualTo(new VmExit.Shutdown());
        }
    }
}
