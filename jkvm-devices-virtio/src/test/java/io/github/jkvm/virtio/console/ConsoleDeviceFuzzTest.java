package io.github.jkvm.virtio.console;

import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.Choices;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.fuzz.VirtioFuzz;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

class ConsoleDeviceFuzzTest extends DeviceFuzzTest {
    @Override
    protected DeviceFuzz fuzz() {
        return VirtioFuzz.of(
                () -> ConsoleDevice.builder("console0")
                        .console()
                        .data("a")
                        .maxPorts(4)
                        .bufferSize(4096)
                        .build(),
                (choices, queue) -> {
                    if (queue == ConsoleDriver.CONTROL_TRANSMIT) {
                        return Chain.of().readable(message(choices));
                    } else if (queue % 2 == 0) {
                        return Chain.of().writable(choices.below(300));
                    } else {
                        return Chain.of().readable(choices.bytes(1000));
                    }
                });
    }

    private static byte[] message(Choices choices) {
        return ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(choices.below(6) - 1)
                .putShort((short) choices.below(9))
                .putShort((short) choices.below(3))
                .array();
    }
}
