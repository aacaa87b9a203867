package io.github.jkvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import org.junit.jupiter.api.Test;

/** There is no backend on this module's own class path. */
class HypervisorTest {

    @Test
    void saysWhichDependencyIsMissing() {
        assertThat(Hypervisor.available().available()).isFalse();
        assertThat(Hypervisor.available().reason()).contains("io.github.jkvm:jkvm-kvm-linux");
        assertThatExceptionOfType(HypervisorUnavailableException.class)
                .isThrownBy(Hypervisor::open)
                .withMessageContaining("io.github.jkvm:jkvm-kvm-linux");
    }
}
