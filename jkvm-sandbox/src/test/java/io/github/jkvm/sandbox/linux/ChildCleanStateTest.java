package io.github.jkvm.sandbox.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.sandbox.GuestNetwork;
import io.github.jkvm.virtio.net.NetBackend;
import org.junit.jupiter.api.Test;

class ChildCleanStateTest {
    /** Other processes can't have it. */
    @Test
    void refusesBackendsOfThisProcess() {
        assertThat(ChildCleanState.tap(() -> GuestNetwork.tap("tap7")).interfaceName())
                .isEqualTo("tap7");
        try (NetBackend backend = new Unplugged()) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> ChildCleanState.tap(() -> GuestNetwork.of(backend)))
                    .withMessageEndingWith("connect the guest with GuestNetwork.tap(name)");
        }
    }
}
