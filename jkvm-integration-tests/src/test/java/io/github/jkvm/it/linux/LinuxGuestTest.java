package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.machine.MachineExit;
import io.github.jkvm.testkit.linux.CommandResult;
import io.github.jkvm.testkit.linux.ControlChannel;
import io.github.jkvm.testkit.linux.GuestCommand;
import io.github.jkvm.testkit.linux.GuestKernel;
import io.github.jkvm.testkit.linux.GuestShell;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.testkit.linux.RunningCommand;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** What tests rely on that use a Linux guest, over both ways to it. */
@RequiresLinuxGuest
@Timeout(600)
@ParameterizedClass
@EnumSource(ControlChannel.class)
class LinuxGuestTest {
    private static final Duration LIMIT = Duration.ofMinutes(1);
    private static final String PIECE = "head -c 65536 /dev/zero; ";

    private static LinuxMachine guest;

    @TempDir
    Path folder;

    @Parameter
    ControlChannel channel;

    @BeforeParameterizedClassInvocation
    static void boot(ControlChannel channel) throws Exception {
        long start = System.nanoTime();
        guest = LinuxMachine.builder()
                .channel(channel)
                .modules("tun", "ext4")
                .modulesAtHand("virtio-blk")
                .programs("mkfs.ext4", "ip")
                .file("/etc/greeting", "Hello\n")
                .program("/root/answer", "#!/bin/sh\nexit 42\n".getBytes(StandardCharsets.US_ASCII))
                .start();
        System.out.printf("boot over %s: %d ms%n", channel, (System.nanoTime() - start) / 1_000_000);
    }

    @AfterParameterizedClassInvocation
    static void end() {
        if (guest != null) {
            guest.close();
        }
    }

    @Test
    void givesBackOutputErrorsAndStatusApart() throws Exception {
        CommandResult result = guest.execute("cat /etc/greeting; echo wrong >&2; exit 37");
        assertThat(result.output()).isEqualTo("Hello\n");
        assertThat(result.errors()).isEqualTo("wrong\n");
        assertThat(result.status()).isEqualTo(37);
    }

    @Test
    void passesEveryByte() throws Exception {
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
    void feedsACommand() throws Exception {
        byte[] bytes = new byte[channel == ControlChannel.SERIAL ? 50_000 : 300_000];
        new SplittableRandom(1).nextBytes(bytes);
        guest.run(GuestCommand.of("cat >/tmp/input").withInput(bytes));
        assertThat(guest.run("wc -c </tmp/input")).isEqualTo(Integer.toString(bytes.length));
        CommandResult back = guest.execute("dd if=/tmp/input bs=1000 skip=20 count=20 2>/dev/null");
        assertThat(back.outputBytes()).isEqualTo(Arrays.copyOfRange(bytes, 20_000, 40_000));
        // One that takes nothing, and one that takes a part.
        guest.run(GuestCommand.of("true").withInput(bytes));
        assertThat(guest.run(GuestCommand.of("head -n 1").withInput("one\ntwo\n".repeat(1000))))
                .isEqualTo("one");
        assertThat(guest.run(GuestCommand.of("cat").withInput(""))).isEmpty();
    }

    @Test
    void setsVariablesAndFolder() throws Exception {
        assertThat(guest.run(GuestCommand.of("echo \"$A-$B\"; pwd")
                        .withEnvironment("A", "it's $HOME")
                        .withEnvironment("B", "two\nlines")
                        .withDirectory("/etc")))
                .isEqualTo("it's $HOME-two\nlines\n/etc");
        assertThat(guest.execute(GuestCommand.of("true").withDirectory("/nowhere"))
                        .status())
                .isEqualTo(126);
    }

    @Test
    void runsTheKernelOfTheHost() throws Exception {
        assertThat(guest.run("uname -r")).isEqualTo(GuestKernel.installed().version());
    }

    @Test
    void hasProgramsOfTheHost() throws Exception {
        assertThat(guest.run("mkfs.ext4 -V 2>&1")).contains("mke2fs 1.");
        assertThat(guest.run("/usr/bin/ip -V || /usr/sbin/ip -V")).contains("iproute2");
        assertThat(guest.run("truncate -s 8M /tmp/disk && mkfs.ext4 -q /tmp/disk && wc -c </tmp/disk"))
                .isEqualTo("8388608");
        assertThat(guest.execute("/root/answer").status()).isEqualTo(42);
    }

    @Test
    void hasTheModulesAskedFor() throws Exception {
        assertThat(guest.run("cut -d ' ' -f 1 /proc/modules")).contains("tun").doesNotContain("virtio_blk");
        assertThat(guest.run("modprobe virtio_blk && cut -d ' ' -f 1 /proc/modules && rmmod virtio_blk"))
                .contains("virtio_blk", "virtio_ring");
        assertThat(guest.run("cut -d ' ' -f 1 /proc/modules")).doesNotContain("virtio_blk");
    }

    @Test
    void hasTheLoopbackInterface() throws Exception {
        assertThat(guest.run("ping -c 1 -W 10 127.0.0.1")).contains("1 packets received");
    }

    @Test
    void letsTheTestActWhileACommandRuns() throws Exception {
        RunningCommand command = guest.begin("read -r line </dev/ttyS0; echo got $line");
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> command.await(Duration.ofMillis(1)))
                .withMessageContaining("has not ended within PT0.001S");
        assertThatIllegalStateException()
                .isThrownBy(() -> guest.run("true"))
                .withMessageStartingWith("the guest still runs: read -r line");
        guest.machine().console().input().write("a line\n".getBytes(StandardCharsets.US_ASCII));
        assertThat(command.await(LIMIT).output()).isEqualTo("got a line\n");
    }

    @Test
    void killsWhatTakesTooLong() throws Exception {
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() ->
                        guest.execute("echo before; echo worse >&2; sleep 1000 & sleep 1000", Duration.ofSeconds(3)))
                .withMessageStartingWith("the command has not ended within PT3S, and was killed")
                .withMessageContaining("-- standard output --\nbefore\n-- standard error --\nworse\n");
        assertThat(guest.run("pidof sleep || echo none")).isEqualTo("none");
    }

    @Test
    void handsOnOutputOfAnyLength() throws Exception {
        // Each byte over the serial line is an exit of the guest.
        int pieces = channel == ControlChannel.SERIAL ? 1 : 512;
        var received = new AtomicLong();
        CommandResult result = guest.execute(GuestCommand.of("for i in $(seq " + pieces + "); do " + PIECE + "done")
                .withOutputTo(counting(received)));
        assertThat(result.status()).isZero();
        assertThat(result.output()).isEmpty();
        assertThat(received).hasValue(pieces * 65536L);
    }

    @Test
    void saysSoWhenOutputIsTooMuchToKeep() throws Exception {
        if (channel == ControlChannel.SERIAL) {
            return;
        }
        int pieces = GuestShell.MOST_KEPT / 65536 + 1;
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> guest.run("for i in $(seq " + pieces + "); do " + PIECE + "done"))
                .withMessageContaining("it has printed " + pieces * 65536 + " bytes to its standard output, of which "
                        + GuestShell.MOST_KEPT + " are kept")
                .withMessageContaining("withOutputTo");
        assertThat(guest.run("echo on")).isEqualTo("on");
    }

    private static OutputStream counting(AtomicLong count) {
        return new OutputStream() {
            @Override
            public void write(int value) {
                count.incrementAndGet();
            }

            @Override
            public void write(byte[] bytes, int offset, int length) {
                count.addAndGet(length);
            }
        };
    }

    @Test
    void copiesFoldersInAndOut() throws Exception {
        Path source = Files.createDirectories(folder.resolve("source"));
        byte[] bytes = new byte[20_000];
        new SplittableRandom(2).nextBytes(bytes);
        Files.createDirectories(source.resolve("deep/" + "x".repeat(120)));
        Files.write(source.resolve("deep/" + "x".repeat(120) + "/data"), bytes);
        Path tool = Files.writeString(source.resolve("tool ä"), "#!/bin/sh\necho works\n");
        Files.setPosixFilePermissions(tool, PosixFilePermissions.fromString("rwxr-x--x"));
        Files.createSymbolicLink(source.resolve("link"), Path.of("tool ä"));

        guest.copyIn(source, "/tmp/copied/in");

        assertThat(guest.run(
                        "cd /tmp/copied/in && './link' && stat -c %a 'tool ä' && wc -c deep/*/data | cut -d ' ' -f 1"))
                .isEqualTo("works\n751\n20000");
        Path back = folder.resolve("back");
        guest.copyOut("/tmp/copied/in", back);
        assertThat(back.resolve("deep/" + "x".repeat(120) + "/data")).hasBinaryContent(bytes);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(back.resolve("tool ä"))))
                .isEqualTo("rwxr-x--x");
        assertThat(Files.readSymbolicLink(back.resolve("link"))).isEqualTo(Path.of("tool ä"));

        guest.copyOut("/tmp/copied/in/tool ä", folder.resolve("single"));
        assertThat(folder.resolve("single")).hasSameBinaryContentAs(tool);
        guest.run("rm -r /tmp/copied");
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> guest.copyOut("/tmp/copied", folder.resolve("none")))
                .withMessageContaining("No such file or directory");
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
    void failsAtOnceWhenTheKernelPanics() throws Exception {
        try (LinuxMachine victim =
                LinuxMachine.builder().channel(channel).vcpus(2).start()) {
            assertThat(victim.run("nproc")).isEqualTo("2");
            assertThatExceptionOfType(AssertionError.class)
                    .isThrownBy(() -> victim.run("echo so far; echo c >/proc/sysrq-trigger"))
                    .withMessageStartingWith("the machine has ended: RESET")
                    .withMessageContaining("\nthe guest's kernel panicked: sysrq triggered crash")
                    .withMessageContaining("so far")
                    .withMessageContaining("Kernel panic - not syncing: sysrq triggered crash");
            assertThatExceptionOfType(AssertionError.class)
                    .isThrownBy(() -> victim.run("true"))
                    .withMessageStartingWith("the machine has ended: RESET");
        }
    }

    @Test
    void saysThatMemoryRanOut() throws Exception {
        try (LinuxMachine victim =
                LinuxMachine.builder().channel(channel).memory(128L << 20).start()) {
            // tail keeps the last line in memory, and this one never ends.
            assertThat(victim.execute("tail -n 1 /dev/zero").status()).isEqualTo(137);
            assertThat(victim.consoleTail()).contains("Out of memory");
            assertThat(victim.run("echo alive")).isEqualTo("alive");
        }
    }

    @Test
    void failsAtOnceWhenTheBootFails() {
        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> LinuxMachine.builder()
                        .channel(channel)
                        .program("/bad", "#!/bin/busybox false\n".getBytes(StandardCharsets.US_ASCII))
                        .commandLine("rdinit=/bad")
                        .start())
                .withMessageStartingWith("the machine has ended: RESET")
                .withMessageContaining(
                        "process 1 of the guest has died (exit code 0x00000100), and the kernel with it");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LinuxMachine.builder()
                        .channel(channel)
                        .memory(64L << 20)
                        .start())
                .withMessageContaining("give the guest more memory");
        assertThatIllegalArgumentException()
                .isThrownBy(
                        () -> LinuxMachine.builder().modules("no_such_module").start())
                .withMessageContaining("has no module 'no_such_module'");
    }

    @Test
    void switchesOff() throws Exception {
        try (LinuxMachine other = LinuxMachine.builder().channel(channel).start()) {
            assertThat(other.powerOff().reason()).isEqualTo(MachineExit.Reason.POWER_OFF);
        }
    }
}
