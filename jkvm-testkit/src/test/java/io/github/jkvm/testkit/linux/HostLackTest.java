package io.github.jkvm.testkit.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.jkvm.testkit.RequiresKvm;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.opentest4j.TestAbortedException;

class HostLackTest {
    private String before;

    @BeforeEach
    void remember() {
        before = System.getProperty(RequiresKvm.SKIPS_PROPERTY);
    }

    @AfterEach
    void restore() {
        if (before == null) {
            System.clearProperty(RequiresKvm.SKIPS_PROPERTY);
        } else {
            System.setProperty(RequiresKvm.SKIPS_PROPERTY, before);
        }
    }

    @Test
    void skipsTheTestWithWhatIsMissing() {
        System.clearProperty(RequiresKvm.SKIPS_PROPERTY);
        assertThat(HostLack.of("no busybox: install it"))
                .isInstanceOf(TestAbortedException.class)
                .hasMessage("no busybox: install it");
        assertThatExceptionOfType(TestAbortedException.class)
                .isThrownBy(() -> LinuxMachine.builder().programs("no-such-program"))
                .withMessageStartingWith("this host has no program 'no-such-program' in [/usr/sbin, /usr/bin");
    }

    @Test
    void failsTheTestWhereSkipsAreForbidden() {
        System.setProperty(RequiresKvm.SKIPS_PROPERTY, "fail");
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> LinuxMachine.builder().programs("no-such-program"))
                .withMessageStartingWith(
                        "this host can't run the test, and -Djkvm.testkit.skips=fail forbids skipping: this host has no program");
    }
}
