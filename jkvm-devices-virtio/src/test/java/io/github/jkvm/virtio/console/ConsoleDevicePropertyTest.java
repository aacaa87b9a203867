package io.github.jkvm.virtio.console;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.virtio.queue.RingFormat;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

final class ConsoleDevicePropertyTest {
    @Property(tries = 150)
    void noByteIsLostOrDoubledInEitherDirection(
            @ForAll RingFormat format,
            @ForAll @IntRange(min = 16, max = 64) int bufferSize,
            @ForAll @Size(min = 1, max = 60) List<@IntRange(min = 1, max = 200) Integer> sizes,
            @ForAll long seed)
            throws Exception {
        var random = new Random(seed);
        ConsoleDevice device = ConsoleDevice.builder("console0")
                .console()
                .bufferSize(bufferSize)
                .build();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        ConsolePort port = device.port(0);
        InputStream in = port.inputStream();
        var sent = new StringBuilder();
        var seen = new ByteArrayOutputStream();
        var typed = new StringBuilder();
        var read = new StringBuilder();
        for (int size : sizes) {
            String text = text(random, size);
            sent.append(text);
            driver.write(0, text);
            int room = bufferSize - port.toGuest().available();
            String keys = text(random, Math.min(room, 1 + random.nextInt(20)));
            typed.append(keys);
            port.outputStream().write(keys.getBytes(StandardCharsets.US_ASCII));
            driver.give(0, 1, 1 + random.nextInt(40));
            read.append(driver.text(0));
            if (random.nextInt(3) == 0) {
                seen.writeBytes(in.readNBytes(Math.min(in.available(), 1 + random.nextInt(bufferSize))));
                driver.guest.run();
            }
            while (driver.guest.queue(1).takeUsed().isPresent()) {
                // Its descriptors are free again.
            }
            if (driver.guest.queue(1).freeDescriptors() < 2) {
                drain(in, driver, seen);
            }
        }
        drain(in, driver, seen);
        for (int i = 0; i < 200 && read.length() < typed.length(); i++) {
            driver.give(0, 1, 64);
            read.append(driver.text(0));
        }
        assertThat(seen.toString(StandardCharsets.US_ASCII)).isEqualTo(sent.toString());
        assertThat(read.toString()).isEqualTo(typed.toString());
        assertThat(driver.guest.queue(1).chainsInFlight()).isZero();
    }

    private static void drain(InputStream in, ConsoleDriver driver, ByteArrayOutputStream seen) throws Exception {
        while (in.available() > 0) {
            seen.writeBytes(in.readNBytes(in.available()));
            driver.guest.run();
        }
        while (driver.guest.queue(1).takeUsed().isPresent()) {
            // Its descriptors are free again.
        }
    }

    private static String text(Random random, int length) {
        var text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append((char) ('a' + random.nextInt(26)));
        }
        return text.toString();
    }

    @Property(tries = 300)
    void noDriverMakesItThrowOrHang(@ForAll RingFormat format, @ForAll long seed) throws Exception {
        var random = new Random(seed);
        ConsoleDevice device = ConsoleDevice.builder("console0")
                .console()
                .data("a")
                .maxPorts(4)
                .bufferSize(64)
                .build();
        ConsoleDriver driver = ConsoleDriver.start(device, format);
        for (int step = 0; step < 60; step++) {
            driver.guest.buffers().clear();
            int queue = random.nextInt(10);
            switch (random.nextInt(9)) {
                case 0 -> control(random, driver);
                case 1 -> device.ports().forEach(port -> port.toGuest().drop(10));
                case 2 -> {
                    if (device.ports().size() < 4) {
                        device.addPort("x" + step);
                    }
                }
                case 3 -> device.ports().getLast().close();
                case 4 -> scribble(random, driver, queue);
                case 5 -> driver.guest.setConfig(random.nextInt(16), 1 << random.nextInt(3), random.nextLong());
                case 6 -> {
                    if (driver.guest.needsReset()) {
                        driver.guest.start(driver.guest.offered());
                    }
                }
                default -> give(random, driver, queue);
            }
            driver.guest.kick(queue);
            if (device.ports().isEmpty()) {
                device.addPort("");
            }
        }
        driver.guest.start(driver.guest.offered());
        driver.guest.buffers().clear();
        driver.give(ConsoleDriver.CONTROL_RECEIVE, 8, 300);
        driver.send(-1, 0, 1);
        assertThat(driver.messages()).hasSize(device.ports().size());
    }

    private static void control(Random random, ConsoleDriver driver) {
        if (!driver.guest.needsReset() && driver.guest.queue(3).freeDescriptors() > 0) {
            var message = new byte[random.nextInt(12)];
            for (int i = 0; i < message.length; i++) {
                message[i] =
                        (byte) (random.nextInt(8) == 0 ? random.nextInt() : random.nextInt(9) & (i % 2 == 0 ? 7 : 0));
            }
            driver.guest.queue(3).add(driver.guest.buffers().readable(message));
            driver.guest.kick(3);
        }
    }

    private static void give(Random random, ConsoleDriver driver, int queue) {
        var side = driver.guest.queue(queue);
        if (side.freeDescriptors() >= 2) {
            side.add(
                    driver.guest.buffers().readable(new byte[random.nextInt(100)]),
                    driver.guest.buffers().writable(random.nextInt(100)));
        }
    }

    private static void scribble(Random random, ConsoleDriver driver, int queue) {
        for (int i = 0; i < 20; i++) {
            long address = 0x1_0000L * (queue + 1) + random.nextInt(0x4000);
            driver.guest.memory().writeByte(address, (byte) random.nextInt());
        }
    }
}
