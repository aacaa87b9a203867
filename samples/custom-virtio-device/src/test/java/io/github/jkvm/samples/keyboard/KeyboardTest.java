package io.github.jkvm.samples.keyboard;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.ChainDefect;
import io.github.jkvm.testkit.virtio.Choices;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.testkit.virtio.PlacedChain;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.VirtioMmio;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The keyboard, with the testkit as its driver: no hypervisor, no guest. */
class KeyboardTest {
    private final Keyboard keyboard = new Keyboard();
    private final VirtioDriver driver = VirtioDriver.attach(new VirtioMmio(keyboard));

    @AfterEach
    void close() {
        driver.close();
    }

    @Test
    void tellsItsName() {
        driver.start();

        driver.setConfig(0, 1, 1); // select: VIRTIO_INPUT_CFG_ID_NAME

        int size = (int) driver.config(2, 1);
        var name = new StringBuilder();
        for (int i = 0; i < size; i++) {
            name.append((char) driver.config(8 + i, 1));
        }
        assertThat(name).hasToString("jkvm keyboard");
    }

    @Test
    void writesAKeyIntoTheNextBuffer() {
        driver.start();
        PlacedChain buffer = driver.post(0, Chain.of().writable(8));
        assertThat(driver.queue(0).takeUsed()).as("no key is pressed yet").isEmpty();

        keyboard.type("a");
        driver.run();

        Used used = driver.queue(0).takeUsed().orElseThrow();
        // EV_KEY, KEY_A, pressed: a type and a code of 16 bits, a value of 32 (virtio 1.2, 5.8.6).
        assertThat(buffer.written(used.length())).containsExactly(1, 0, 30, 0, 1, 0, 0, 0);
        assertThat(driver.interrupts()).isPositive();
    }

    @Test
    void asksForAResetWhenTheDriverBreaksARule() {
        driver.start();

        driver.post(0, Chain.of().writable(8).broken(ChainDefect.BUFFER_OUTSIDE_MEMORY));
        keyboard.type("a");
        driver.run();

        assertThat(driver.needsReset()).isTrue();
        driver.start();
        assertThat(driver.needsReset()).isFalse();
    }

    @Test
    void survivesAnyGuest() {
        DeviceFuzz.of(() -> new VirtioMmio(new Keyboard()), KeyboardTest::anyRequest)
                .cases(1_000)
                .run();
    }

    private static Chain anyRequest(Choices choices, int queue) {
        return queue == 0 ? Chain.of().writable(choices.below(20)) : Chain.of().readable(choices.bytes(8));
    }
}
