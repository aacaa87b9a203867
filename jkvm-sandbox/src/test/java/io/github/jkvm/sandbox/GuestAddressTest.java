package io.github.jkvm.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.net.Inet4Address;
import java.net.InetAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GuestAddressTest {
    @Test
    void readsWhatIsWrittenAsUsual() {
        GuestAddress address =
                GuestAddress.of("10.1.2.3/24").withGateway("10.1.2.254").withResolvers("9.9.9.9", "fd00::1");
        assertThat(address.address()).isEqualTo(InetAddress.ofLiteral("10.1.2.3"));
        assertThat(address.prefixLength()).isEqualTo(24);
        assertThat(address.gateway()).contains((Inet4Address) InetAddress.ofLiteral("10.1.2.254"));
        assertThat(address.resolvers())
                .containsExactly(InetAddress.ofLiteral("9.9.9.9"), InetAddress.ofLiteral("fd00::1"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "10.0.0.1",
                "10.0.0.1/0",
                "10.0.0.1/33",
                "10.0.0.1/",
                "10.0.0.1/+8",
                "name/24",
                "fd00::1/64",
                "224.0.0.1/24",
                "255.255.255.255/32",
                "0.0.0.0/8"
            })
    void refusesWhatNoInterfaceCanHave(String text) {
        assertThatIllegalArgumentException().isThrownBy(() -> GuestAddress.of(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {"10.0.1.1", "10.0.0.2", "fd00::1", "gateway"})
    void refusesAGatewayThatIsNoOtherStationOfTheNetwork(String gateway) {
        GuestAddress address = GuestAddress.of("10.0.0.2/24");
        assertThatIllegalArgumentException().isThrownBy(() -> address.withGateway(gateway));
    }

    @Test
    void saysWhyAGatewayIsRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> GuestAddress.of("10.0.0.2/31").withGateway("10.0.0.4"))
                .withMessage("the gateway 10.0.0.4 must be another station of the network of 10.0.0.2/31");
        assertThat(GuestAddress.of("10.0.0.2/31").withGateway("10.0.0.3").gateway())
                .isPresent();
    }

    @Test
    void refusesMoreResolversThanAreAsked() {
        GuestAddress address = GuestAddress.of("10.0.0.2/24");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> address.withResolvers("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"))
                .withMessageContaining("only the first 3");
    }
}
