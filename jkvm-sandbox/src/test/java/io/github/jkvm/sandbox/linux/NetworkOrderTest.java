package io.github.jkvm.sandbox.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.jkvm.sandbox.GuestAddress;
import io.github.jkvm.sandbox.SandboxException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NetworkOrderTest {
    @TempDir
    private Path folder;

    private static byte[] bytes(NetworkOrder order) {
        ByteBuffer out = ByteBuffer.allocate(Frame.MAX_PAYLOAD);
        order.put(out);
        return Arrays.copyOf(out.array(), out.position());
    }

    /** The layout that wire.h tells of. */
    @Test
    void putsAddressGatewayAndResolversWhereTheAgentLooks() {
        var all = new NetworkOrder(Optional.of(
                GuestAddress.of("10.1.2.3/24").withGateway("10.1.2.254").withResolvers("9.9.9.9", "10.1.2.1")));
        byte[] bytes = bytes(all);
        assertThat(Arrays.copyOf(bytes, 9)).containsExactly(24, 10, 1, 2, 3, 10, 1, 2, 254);
        assertThat(new String(bytes, 9, bytes.length - 9, StandardCharsets.US_ASCII))
                .isEqualTo("nameserver 9.9.9.9\nnameserver 10.1.2.1\n");
        assertThat(bytes(new NetworkOrder(Optional.empty()))).containsOnly(0).hasSize(9);
    }

    /** The agent has no device on this host. */
    @Test
    void tellsWhyTheAgentCannotDoIt() throws Exception {
        var order = new NetworkOrder(Optional.of(GuestAddress.of("10.0.0.2/24")));
        try (var agent = new AgentProgram(folder)) {
            CleanState clean = ChannelGuest.always(agent::connect, Optional.of(order));
            assertThatExceptionOfType(SandboxException.class)
                    .isThrownBy(() -> new Calls(clean, Duration.ofMinutes(1)))
                    .withMessage("the guest's network can't be set up: can't start the driver of eth0:"
                            + " Bad file descriptor");
        }
    }
}
