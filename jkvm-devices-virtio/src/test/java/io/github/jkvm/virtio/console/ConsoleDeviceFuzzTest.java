package io.github.jkvm.virtio.console;

import io.github.jkvm.virtio.fuzz.Choices;
import io.github.jkvm.virtio.fuzz.DeviceFuzz;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

class ConsoleDeviceFuzzTest extends DeviceFuzzTest {
    @Override
    protected DeviceFuzz fuzz() {
        return new DeviceFuzz(
                () -> ConsoleDevice.builder("console0")
                        .console()
                        .data("a")
                        .maxPorts(4)
                        .bufferSize(4096)
                        .build(),
                (choices, queue, buffers, chain) -> {
                    if (queue == ConsoleDriver.CONTROL_TRANSMIT) {
                        chain.add(buffers.readable(message(choices)));
                    } else if (queue % 2 == 0) {
                        chain.add(buffers.writable(choices.below(300)));
                    } else {
                        chain.add(buffers.readable(choices.bytes(1000)));
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
