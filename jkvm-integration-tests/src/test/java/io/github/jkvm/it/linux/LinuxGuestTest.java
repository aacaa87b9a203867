package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.machine.MachineExit;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What tests of devices rely on: guests without any virtio device. */
@RequiresLinuxGuest
class LinuxGuestTest {
    private static final Duration LIMIT = Duration.ofMinutes(1);

    private static LinuxGuest guest;

    @BeforeAll
    static void boot() throws Exception {
        guest = LinuxGuest.builder()
                .modules("tun", "ext4")
                .modulesAtHand("virtio-blk")
                .programs("mkfs.ext4", "ip")
                .file("/etc/greeting", "Hello\n")
                .program("/root/answer", "#!/bin/sh\nexit 42\n".getBytes(StandardCharsets.US_ASCII))
                .start();
    }

    @AfterAll
    static void end() {
        if (guest != null) {
            guest.close();
        }
    }

    @Test
    void givesBackOutputAndStatus() throws Exception {
        CommandResult result = guest.execute("cat /etc/greeting; echo wrong >&2; exit 37", LIMIT);
        assertThat(result.output()).isEqualTo("Hello\nwrong\n");
        assertThat(result.status()).isEqualTo(37);
    }

    @Test
    void passesEveryByteButTheMark() throws Exception {
        assertThat(guest.run("printf 'a\\000b\\r\\n\\001\\003\\004\\021\\023\\177 \\000\\000 \\303\\244x'"))
                .isEqualTo("a\000b\r\n\001\003\004\021\023\177 \000\000 äx");
        assertThat(guest.run("echo 'ä \"$HOME\" \u0003\u0004\u0016\u0011'"))
                .isEqualTo("ä \"$HOME\" \u0003\u0004\u0016\u0011");
        assertThat(guest.run("true")).isEmpty();
    }

    @Test
    void takesCommandsOfManyLines() throws Exception {
        String lines = "echo line\n".repeat(3000);
        assertThat(guest.run(lines).lines()).hasSize(3000);
    }

    @Test
    void runsTheKernelOfTheHost() throws Exception {
        assertThat(guest.run("uname -r")).isEqualTo(GuestKernel.installed().version());
    }

    @Test
    void hasProgramsOfTheHost() throws Exception {
        assertThat(guest.run("mkfs.ext4 -V")).contains("mke2fs 1.");
        assertThat(guest.run("/usr/bin/ip -V || /usr/sbin/ip -V")).contains("iproute2");
        assertThat(guest.run("truncate -s 8M /tmp/disk && mkfs.ext4 -q /tmp/disk && wc -c </tmp/disk"))
                .isEqualTo("8388608");
        assertThat(guest.execute("/root/answer", LIMIT).status()).isEqualTo(42);
    }

    @Test
    void hasTheModulesAskedFor() throws Exception {
        assertThat(guest.run("cut -d ' ' -f 1 /proc/modules")).contains("tun").doesNotContain("virtio_blk");
        assertThat(guest.run("modprobe virtio_blk && cut -d ' ' -f 1 /proc/modules && modprobe -r virtio_blk"))
                .contains("virtio_blk", "virtio_ring");
        assertThat(guest.run("cut -d ' ' -f 1 /proc/modules")).doesNotContain("virtio_blk");
    }

    @Test
    void hasTheLoopbackInterface() throws Exception {
        assertThat(guest.run("ping -c 1 -W 10 127.0.0.1")).contains("1 packets received");
    }

    @Test
    void letsTheTestActWhileACommandRuns() throws Exception {
        GuestShell.Command command = guest.begin("read -r line </dev/ttyS0; echo got $line");
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> command.await(Duration.ofMillis(1)))
                .withMessageContaining("it has not ended within PT0.001S");
        assertThatIllegalStateException()
                .isThrownBy(() -> guest.run("true"))
                .withMessageStartingWith("the guest still runs: read -r line");
        guest.machine().console().input().write("a line\n".getBytes(StandardCharsets.US_ASCII));
        assertThat(command.await(LIMIT).output()).isEqualTo("got a line\n");
    }

    @Test
    void failsWithTheGuestsMessages() {
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> guest.run("echo one; echo two >/dev/kmsg; ls /nowhere"))
                .withMessageContaining("exit status 1 of: echo one")
                .withMessageContaining("/nowhere: No such file")
                .withMessageContaining("-- the guest's dmesg --")
                .withMessageContaining("two");
    }

    @Test
    void failsWithTheConsoleOfAGuestThatPanics() throws Exception {
        try (LinuxGuest victim = LinuxGuest.builder().vcpus(2).start()) {
            assertThat(victim.run("nproc")).isEqualTo("2");
            assertThatExceptionOfType(AssertionError.class)
                    .isThrownBy(() -> victim.run("echo c >/proc/sysrq-trigger"))
                    .withMessageContaining("the machine has ended: RESET")
                    .withMessageContaining("Kernel panic - not syncing: sysrq triggered crash");
        }
    }

    @Test
    void runsAScriptAndEnds() throws Exception {
        CommandResult result =
                LinuxGuest.builder().script("echo done\nexit 3\n").run(LIMIT);
        assertThat(result.output()).isEqualTo("done\n");
        assertThat(result.status()).isEqualTo(3);
    }

    @Test
    void switchesOff() throws Exception {
        try (LinuxGuest other = LinuxGuest.builder().start()) {
            assertThat(other.powerOff().reason()).isEqualTo(MachineExit.Reason.POWER_OFF);
        }
    }
}
