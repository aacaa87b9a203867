package io.github.jkvm.virtio.vsock;

import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.Choices;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.fuzz.VirtioFuzz;
import java.net.BindException;

class VsockDeviceFuzzTest extends DeviceFuzzTest {
    private static final int PORTS = 4;

    @Override
    protected DeviceFuzz fuzz() {
        return VirtioFuzz.of(VsockDeviceFuzzTest::device, (choices, queue) -> {
            if (queue == 1) {
                byte[] payload = choices.bytes(2000);
                return Chain.of().readable(header(choices, payload.length)).readable(payload);
            } else {
                return Chain.of().writable(choices.below(5000));
            }
        });
    }

    private static VsockDevice device() {
        VsockDevice device = VsockDevice.builder("vsock0", VsockDriver.CID)
                .bufferSize(4096)
                .maxConnections(16)
                .build();
        try {
            device.listen(1);
            device.listen(2);
        } catch (BindException e) {
            throw new AssertionError(e);
        }
        return device;
    }

    private static byte[] header(Choices choices, int length) {
        return VsockDriver.header(
                choices.oneIn(20) ? choices.number() : VsockDriver.CID,
                choices.oneIn(20) ? choices.number() : VsockDevice.HOST_CID,
                choices.below(PORTS),
                choices.below(PORTS),
                choices.oneIn(20) ? choices.below(3) : 1,
                choices.below(9),
                choices.below(5),
                choices.oneIn(10) ? (int) choices.number() : length,
                choices.oneIn(4) ? (int) choices.number() : 65536,
                choices.oneIn(4) ? (int) choices.number() : 0);
    }
}
