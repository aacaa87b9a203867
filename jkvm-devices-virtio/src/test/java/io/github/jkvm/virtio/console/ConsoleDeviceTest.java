package io.github.jkvm.virtio.console;

import static io.github.jkvm.virtio.console.ConsoleDriver.CONTROL_RECEIVE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.virtio.console.ConsoleDriver.Message;
import io.github.jkvm.virtio.queue.RingFormat;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

@ParameterizedClass
@EnumSource(RingFormat.class)
final class ConsoleDeviceTest {
    @Parameter
    RingFormat format;

    private static ConsoleDevice single() {
        return ConsoleDevice.builder("console0").console().size(80, 25).build();
    }

    private static ConsoleDevice several() {
        return ConsoleDevice.builder("console0")
                .console()
                .data("agent")
                .maxPorts(4)
                .build();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static String read(InputStream stream, int count) throws IOException {
        return new String(stream.readNBytes(count), StandardCharsets.US_ASCII);
    }

    @Test
    void offersASingleConsoleWithoutControlQueues() {
        ConsoleDevice device = single();
        ConsoleDriver driver = ConsoleDriver.start(device, format);

        assertThat(device.deviceId()).isEqualTo(3);
        // Virtio 1.2, 5.3.3 and 5.3.4: F_SIZE is bit 0, F_MULTIPORT 1, F_EMERG_WRITE 2; cols, rows, max_nr_ports,
        // emerg_wr.
        assertThat(driver.guest.offered() & 7).isEqualTo(0b101);
        assertThat(driver.guest.config(0, 2)).isEqualTo(80);
        assertThat(driver.guest.config(2, 2)).isEqualTo(25);
        assertThat(driver.guest.config(4, 4)).isEqualTo(1);
    }

    @Test
    void carriesBytesBothWays() throws Exception {
        ConsoleDevice device = single();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        ConsolePort port = device.port(0);
        int head = driver.write(0, "from the guest");
        driver.give(0, 2, 100);
        port.outputStream().write(bytes("to the guest"));

        assertThat(read(port.inputStream(), 14)).isEqualTo("from the guest");
        assertThat(driver.guest.await(1, head).length()).isZero();
        assertThat(driver.text(0)).isEqualTo("to the guest");
        assertThat(device.counters()).containsEntry("bytesFromGuest", 14L).containsEntry("bytesToGuest", 12L);
    }

    @Test
    void tellsTheDriverOfEveryPortWhenItIsReady() {
        ConsoleDriver driver = ConsoleDriver.start(several(), format);
        driver.give(CONTROL_RECEIVE, 16, 64);
        assertThat(driver.messages()).isEmpty();

        // Virtio 1.2, 5.3.5: the driver sends DEVICE_READY; 5.3.6.2: the device answers with PORT_ADD for each port.
        driver.send(-1, 0, 1);
        assertThat(driver.messages()).containsExactly(new Message(0, 1, 1, ""), new Message(1, 1, 1, ""));

        driver.send(0, 3, 1);
        assertThat(driver.messages()).containsExactly(new Message(0, 4, 1, ""), new Message(0, 6, 1, ""));
        driver.send(1, 3, 1);
        assertThat(driver.messages()).containsExactly(new Message(1, 7, 1, "agent"), new Message(1, 6, 1, ""));
    }

    @Test
    void keepsControlMessagesUntilThereAreBuffersForThem() {
        ConsoleDriver driver = ConsoleDriver.start(several(), format);
        driver.send(-1, 0, 1);
        driver.give(CONTROL_RECEIVE, 1, 64);
        assertThat(driver.messages()).hasSize(1);
        driver.give(CONTROL_RECEIVE, 1, 64);
        assertThat(driver.messages()).hasSize(1);
        driver.give(CONTROL_RECEIVE, 1, 64);
        assertThat(driver.messages()).isEmpty();
    }

    @Test
    void tellsThingsOnceHoweverOftenTheDriverAsks() {
        ConsoleDevice device = several();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.send(-1, 0, 1);
        for (int i = 0; i < 1000; i++) {
            driver.guest.buffers().clear();
            driver.send(1, 3, 1);
        }
        driver.give(CONTROL_RECEIVE, 20, 64);
        assertThat(driver.messages()).hasSize(4);
        assertThat(device.counters()).containsEntry("controlMessages", 1001L);
    }

    @Test
    void countsControlMessagesThatMakeNoSense() {
        ConsoleDevice device = several();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.send(7, 3, 1);
        driver.send(-1, 3, 1);
        driver.send(3, 6, 1);
        driver.send(0, 99, 1);
        driver.send(0, 1, 1);
        driver.sendBytes(new byte[7]);
        assertThat(device.counters()).containsEntry("badControlMessages", 6L);
        assertThat(driver.guest.needsReset()).isFalse();
    }

    @Test
    void givesBackControlBuffersThatAreTooSmallAndKeepsTheMessage() {
        ConsoleDevice device = several();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.send(-1, 0, 1);
        driver.give(CONTROL_RECEIVE, 3, 7);
        assertThat(driver.taken(CONTROL_RECEIVE)).hasSize(3).allMatch(each -> each.length == 0);
        assertThat(device.counters()).containsEntry("shortBuffers", 3L);
        driver.give(CONTROL_RECEIVE, 2, 8);
        assertThat(driver.messages()).hasSize(2);
    }

    @Test
    void sendsNothingToAPortThatNoOneInTheGuestHasOpen() throws Exception {
        ConsoleDevice device = several();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.open();
        driver.send(1, 3, 1);
        driver.give(4, 2, 16);
        ConsolePort port = device.port(1);
        port.outputStream().write(bytes("hello"));
        assertThat(driver.text(1)).isEmpty();
        assertThat(port.isGuestOpen()).isFalse();

        driver.send(1, 6, 1);
        assertThat(driver.text(1)).isEqualTo("hello");
        assertThat(port.awaitGuestOpen(Duration.ofSeconds(1))).isTrue();
        driver.send(1, 6, 0);
        assertThat(port.awaitGuestOpen(Duration.ZERO)).isFalse();
    }

    @Test
    void holdsTheGuestBackWhileTheProgramDoesNotRead() throws Exception {
        ConsoleDevice device =
                ConsoleDevice.builder("console0").console().bufferSize(16).build();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        int first = driver.write(0, "0123456789");
        int second = driver.write(0, "abcdefghij");
        driver.guest.await(1, first);
        assertThat(driver.guest.queue(1).takeUsed()).isEmpty();

        assertThat(read(device.port(0).inputStream(), 16)).isEqualTo("0123456789abcdef");
        driver.guest.await(1, second);
        assertThat(read(device.port(0).inputStream(), 4)).isEqualTo("ghij");
        assertThat(device.counters()).containsEntry("bytesFromGuest", 20L);
    }

    @Test
    void holdsTheProgramBackWhileTheGuestDoesNotRead() throws Exception {
        ConsoleDevice device =
                ConsoleDevice.builder("console0").console().bufferSize(16).build();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        OutputStream out = device.port(0).outputStream();
        String text = "x".repeat(50);
        CompletableFuture<Void> written = CompletableFuture.runAsync(() -> {
            try {
                out.write(bytes(text));
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        driver.guest.loop().runUntil(() -> device.port(0).toGuest().available() == 16);
        assertThat(written).isNotDone();
        driver.give(0, 10, 8);
        driver.guest.loop().runUntil(written::isDone);
        assertThat(driver.text(0)).isEqualTo(text);
    }

    @Test
    void endsTheStreamsWhenTheDeviceIsClosed() throws Exception {
        ConsoleDevice device = single();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.write(0, "last");
        InputStream in = device.port(0).inputStream();
        driver.guest.close();

        assertThat(read(in, 100)).isEqualTo("last");
        assertThat(in.read()).isEqualTo(-1);
        assertThatExceptionOfType(IOException.class)
                .isThrownBy(() -> device.port(0).outputStream().write(1))
                .withMessageContaining("the guest's side is closed");
    }

    @Test
    void endsAReadWhoseThreadIsInterrupted() throws Exception {
        InputStream in = single().port(0).inputStream();
        var thrown = new AtomicReference<Exception>();
        Thread reader = Thread.ofPlatform().start(() -> {
            try {
                in.read();
            } catch (IOException e) {
                thrown.set(e);
            }
        });
        reader.interrupt();
        reader.join(TimeUnit.SECONDS.toMillis(20));
        assertThat(thrown.get()).isInstanceOf(InterruptedIOException.class);
    }

    @Test
    void dropsWhatTheGuestWritesToAStreamThatWasClosed() throws Exception {
        ConsoleDevice device =
                ConsoleDevice.builder("console0").console().bufferSize(16).build();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        device.port(0).inputStream().close();
        for (int i = 0; i < 10; i++) {
            driver.guest.await(1, driver.write(0, "0123456789"));
        }
        assertThat(device.counters()).containsEntry("bytesDropped", 100L).containsEntry("bytesFromGuest", 0L);
    }

    @Test
    void tellsTheGuestWhenBothStreamsAreClosed() throws Exception {
        ConsoleDevice device = several();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.open(1);
        device.port(1).inputStream().close();
        assertThat(driver.messages()).isEmpty();
        device.port(1).outputStream().close();
        assertThat(driver.messages()).containsExactly(new Message(1, 6, 0, ""));
    }

    @Test
    void addsAndRemovesPortsWhileTheGuestRuns() throws Exception {
        ConsoleDevice device = several();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.open(0, 1);

        ConsolePort added = device.addPort("later");
        assertThat(added.id()).isEqualTo(2);
        assertThat(driver.messages()).containsExactly(new Message(2, 1, 1, ""));
        driver.send(2, 3, 1);
        driver.send(2, 6, 1);
        assertThat(driver.messages()).containsExactly(new Message(2, 7, 1, "later"), new Message(2, 6, 1, ""));
        driver.guest.await(7, driver.write(2, "bye"));

        added.close();
        assertThat(driver.messages()).containsExactly(new Message(2, 2, 1, ""));
        assertThat(read(added.inputStream(), 100)).isEqualTo("bye");
        assertThat(device.ports()).hasSize(2);
        driver.guest.await(7, driver.write(2, "no one is there"));
        assertThat(device.addPort("again").id()).isEqualTo(2);
    }

    @Test
    void saysThatAPortIsGoneBeforeAnotherTakesItsPlace() {
        ConsoleDevice device = several();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.send(-1, 0, 1);
        driver.give(CONTROL_RECEIVE, 2, 64);
        driver.messages();
        device.port(1).close();
        device.addPort("other");
        driver.give(CONTROL_RECEIVE, 4, 64);
        assertThat(driver.messages()).containsExactly(new Message(1, 2, 1, ""), new Message(1, 1, 1, ""));
    }

    @Test
    void refusesMorePortsThanThereAreQueuesFor() {
        ConsoleDevice device = several();
        device.addPort("");
        device.addPort("");
        assertThatIllegalStateException()
                .isThrownBy(() -> device.addPort(""))
                .withMessageContaining("has no place left")
                .withMessageContaining("maxPorts");
        assertThatIllegalStateException().isThrownBy(() -> single().port(0).close());
        assertThatIllegalArgumentException().isThrownBy(() -> device.port(4)).withMessageContaining("no port 4");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> device.addPort("ä".repeat(128)))
                .withMessageContaining("256 bytes");
    }

    @Test
    void tellsANewSizeInTheConfigurationAndByMessage() {
        ConsoleDevice device = several();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.open(0);
        int before = driver.guest.interrupts();
        device.port(0).resize(new TerminalSize(132, 43));

        // Virtio 1.2, 5.3.6.2: struct virtio_console_resize has le16 cols, then le16 rows.
        assertThat(driver.messages()).containsExactly(new Message(0, 5, 1, "\u0084\0+\0"));
        assertThat(driver.guest.interrupts()).isGreaterThan(before);
        assertThat(driver.guest.config(0, 2)).isEqualTo(132);
        assertThat(driver.guest.config(2, 2)).isEqualTo(43);
        assertThatIllegalStateException()
                .isThrownBy(() -> device.port(1).resize(new TerminalSize(1, 1)))
                .withMessageContaining("is no console");
        assertThatIllegalArgumentException().isThrownBy(() -> new TerminalSize(0, 1));
    }

    @Test
    void printsWhatADriverWritesInAnEmergency() throws Exception {
        ConsoleDevice device = single();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        // Virtio 1.2, 5.3.4: only the low byte of emerg_wr counts; 5.3.5: even before the driver is ready.
        driver.guest.mmio().setRegister(0x070, 0);
        for (char each : "panic!".toCharArray()) {
            driver.guest.setConfig(8, 4, 0xABCDEF00L | each);
        }
        assertThat(read(device.port(0).inputStream(), 6)).isEqualTo("panic!");
        driver.guest.setConfig(0, 4, -1);
        assertThat(driver.guest.config(0, 2)).isEqualTo(80);
    }

    @Test
    void losesNothingOfAChainThatIsHalfThroughWhenItIsSaved() throws Exception {
        ConsoleDevice device =
                ConsoleDevice.builder("console0").console().bufferSize(16).build();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        int head = driver.write(0, "0123456789abcdefghij");
        device.port(0).outputStream().write(bytes("keys"));

        ConsoleDevice other =
                ConsoleDevice.builder("console0").console().bufferSize(16).build();
        ConsoleDriver moved = driver.movedInto(other, driver.guest.save());
        assertThat(read(other.port(0).inputStream(), 16)).isEqualTo("0123456789abcdef");
        moved.guest.await(1, head);
        assertThat(read(other.port(0).inputStream(), 4)).isEqualTo("ghij");
        moved.give(0, 1, 8);
        assertThat(moved.text(0)).isEqualTo("keys");
    }

    @Test
    void makesKnownWhatIsDifferentAfterARestore() throws Exception {
        ConsoleDevice device = several();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.open(0, 1);
        device.addPort("gone");
        driver.messages();

        ConsoleDevice other = ConsoleDevice.builder("console0")
                .console()
                .data("renamed")
                .maxPorts(4)
                .build();
        ConsoleDriver moved = driver.movedInto(other, driver.guest.save());
        assertThat(moved.messages())
                .containsExactly(
                        new Message(0, 6, 1, ""),
                        new Message(1, 2, 1, ""),
                        new Message(1, 1, 1, ""),
                        new Message(2, 2, 1, ""));
        moved.write(0, "still open");
        assertThat(other.port(0).isGuestOpen()).isTrue();
        assertThat(read(other.port(0).inputStream(), 10)).isEqualTo("still open");
    }

    @Test
    void forgetsTheDriverWhenItIsReset() throws Exception {
        ConsoleDevice device = several();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        driver.open(0, 1);
        driver.guest.start(driver.guest.offered());
        assertThat(device.port(1).isGuestOpen()).isFalse();
        driver.give(CONTROL_RECEIVE, 8, 64);
        assertThat(driver.messages()).isEmpty();
        driver.send(-1, 0, 1);
        assertThat(driver.messages()).hasSize(2);
    }

    @Test
    void connectsAPortToATerminal() throws Exception {
        ConsoleDevice device = single();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        try (ConsolePty pty = device.port(0).openPty()) {
            assertThatIllegalStateException().isThrownBy(() -> device.port(0).inputStream());
            driver.guest.run();
            try (var terminal = Files.newByteChannel(pty.path(), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
                driver.write(0, "login: \n");
                driver.guest.loop().advance(Duration.ofSeconds(1));
                var seen = ByteBuffer.allocate(8);
                while (seen.hasRemaining()) {
                    terminal.read(seen);
                }
                assertThat(new String(seen.array(), StandardCharsets.US_ASCII)).isEqualTo("login: \n");

                terminal.write(ByteBuffer.wrap(bytes("root\r")));
                driver.give(0, 1, 16);
                assertThat(driver.text(0)).isEqualTo("root\r");
            }
        }
        assertThat(device.port(0).inputStream().available()).isZero();
    }

    @Test
    void keepsTheLastForATerminalThatNoOneHasOpen() throws Exception {
        ConsoleDevice device =
                ConsoleDevice.builder("console0").console().bufferSize(64).build();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        ConsolePty pty = device.port(0).openPty();
        for (int i = 100; i < 200; i++) {
            driver.guest.await(1, driver.write(0, "line " + i + "\n"));
        }
        assertThat(device.counters().get("bytesDropped")).isPositive();
        try (InputStream terminal = Files.newInputStream(pty.path())) {
            driver.guest.loop().advance(Duration.ofSeconds(1));
            var seen = new StringBuilder();
            while (seen.indexOf("line 199\n") < 0) {
                seen.append((char) terminal.read());
            }
            assertThat(seen).hasSizeLessThanOrEqualTo(64);
        }
        device.close();
        assertThat(driver.guest.loop().timers()).isZero();
        device.close();
    }
}
