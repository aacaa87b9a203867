package io.github.jkvm.it.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.ControlChannel;
import io.github.jkvm.testkit.linux.LinuxGuest;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;

/** Guests as JUnit gives them to tests. */
@RequiresLinuxGuest
@Timeout(600)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class LinuxGuestExtensionTest {
    @LinuxGuest(modules = "tun", programs = "ip")
    private static LinuxMachine shared;

    @Test
    @Order(1)
    void sharesTheGuestOfAStaticField() throws Exception {
        shared.run("test -d /sys/module/tun && echo first >/tmp/note");
    }

    @Test
    @Order(2)
    void givesAFreshGuestForAParameter(@LinuxGuest(channel = ControlChannel.SERIAL, vcpus = 2) LinuxMachine own)
            throws Exception {
        assertThat(shared.run("cat /tmp/note")).isEqualTo("first");
        assertThat(own.run("nproc; test -e /tmp/note || echo none")).isEqualTo("2\nnone");
    }
}
