package io.github.jkvm.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.linux.ControlChannel;
import io.github.jkvm.testkit.linux.LinuxMachine;
import io.github.jkvm.testkit.linux.RequiresLinuxGuest;
import io.github.jkvm.testkit.linux.RunningCommand;
import io.github.jkvm.virtio.console.ConsoleDevice;
import io.github.jkvm.virtio.console.ConsolePort;
import io.github.jkvm.virtio.console.TerminalSize;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Linux talks to the program over terminals and ports. */
@RequiresLinuxGuest
@Timeout(600)
class ConsoleDeviceGuestTest {
    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final int BYTES = 300_000;

    /** Opens the terminal as it is: the kernel forgets its settings when the last one closes it. */
    private static final String RAW = "exec 3<>/dev/hvc0; stty raw -echo <&3; ";

    @ParameterizedTest
    @EnumSource
    void carriesBytesOverSeveralPorts(GuestTransport transport) throws Exception {
        ConsoleDevice device = ConsoleDevice.builder("console0")
                .console()
                .data("org.example.up")
                .data("org.example.down")
                .maxPorts(4)
                .build();
        try (LinuxMachine guest = LinuxMachine.builder()
                .channel(ControlChannel.SERIAL)
                .modules(transport.module())
                .modulesAtHand("virtio_console")
                .device(transport.of(device))
                .start()) {
            guest.run("modprobe virtio_console");
            guest.run(await("test -e /dev/vport0p2"));
            assertThat(guest.run("cat /sys/class/virtio-ports/vport0p1/name /sys/class/virtio-ports/vport0p2/name"))
                    .isEqualTo("org.example.up\norg.example.down");

            carriesBytesBothWays(guest, device);
            hotPlugs(guest, device);
            usesTerminal(guest, device);

            assertThat(device.counters()).containsEntry("queueFaults", 0L).containsEntry("badControlMessages", 0L);
        }
    }

    /** Moves different bytes over ports 1 and 2 at once: up to the host and down to the guest. */
    static void carriesBytesBothWays(LinuxMachine guest, ConsoleDevice device) throws Exception {
        guest.run(await("test -e /dev/vport0p2"));
        var random = new byte[BYTES];
        new Random(7).nextBytes(random);
        ConsolePort up = device.port(1);
        ConsolePort down = device.port(2);
        CompletableFuture<String> received = CompletableFuture.supplyAsync(() -> {
            try {
                return sha256(up.inputStream().readNBytes(BYTES));
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
        Thread sender = Thread.ofPlatform().start(() -> {
            try {
                down.outputStream().write(random);
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
        String sums = guest.run("head -c " + BYTES + " /dev/vport0p2 | sha256sum & head -c " + BYTES
                + " /dev/urandom >/tmp/up && cat /tmp/up >/dev/vport0p1; wait; sha256sum </tmp/up");
        assertThat(sums.lines().map(line -> line.substring(0, 64)))
                .containsExactly(sha256(random), received.get(60, TimeUnit.SECONDS));
        sender.join();
    }

    private static void hotPlugs(LinuxMachine guest, ConsoleDevice device) throws Exception {
        ConsolePort later = device.addPort("org.example.later");
        guest.run(await("test -e /dev/vport0p3"));
        RunningCommand echo = guest.begin("head -n 1 </dev/vport0p3");
        assertThat(later.awaitGuestOpen(LIMIT)).isTrue();
        later.outputStream().write("hello\n".getBytes(StandardCharsets.US_ASCII));
        assertThat(echo.await(LIMIT).output()).isEqualTo("hello\n");
        later.close();
        guest.run(await("test ! -e /dev/vport0p3"));
    }

    private static void usesTerminal(LinuxMachine guest, ConsoleDevice device) throws Exception {
        ConsolePort terminal = device.port(0);
        terminal.resize(new TerminalSize(132, 43));
        guest.run(RAW + "echo from the terminal >&3");
        assertThat(new String(terminal.inputStream().readNBytes(18), StandardCharsets.US_ASCII))
                .isEqualTo("from the terminal\n");
        guest.run(await("stty size </dev/hvc0 | grep -qx '43 132'"));
    }

    @Test
    void resizesASingleConsole() throws Exception {
        ConsoleDevice device =
                ConsoleDevice.builder("console0").console().size(100, 30).build();
        try (LinuxMachine guest = LinuxMachine.builder()
                .channel(ControlChannel.SERIAL)
                .modules(GuestTransport.MMIO.module(), "virtio_console")
                .device(GuestTransport.MMIO.of(device))
                .start()) {
            guest.run(await("stty size </dev/hvc0 | grep -qx '30 100'"));
            device.port(0).resize(new TerminalSize(90, 20));
            guest.run(await("stty size </dev/hvc0 | grep -qx '20 90'"));
            RunningCommand echo = guest.begin(RAW + "echo ready >&3; head -n 1 <&3");
            assertThat(new String(device.port(0).inputStream().readNBytes(6), StandardCharsets.US_ASCII))
                    .isEqualTo("ready\n");
            device.port(0).outputStream().write("typed\n".getBytes(StandardCharsets.US_ASCII));
            assertThat(echo.await(LIMIT).output()).isEqualTo("typed\n");
        }
    }

    /** A script that waits for a condition for up to a minute, and says how things stand if it does not come true. */
    private static String await(String condition) {
        return "for i in $(seq 600); do if " + condition + "; then exit 0; fi; sleep 0.1; done;"
                + " ls -l /dev/vport* /dev/hvc*; stty size </dev/hvc0; exit 1";
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
