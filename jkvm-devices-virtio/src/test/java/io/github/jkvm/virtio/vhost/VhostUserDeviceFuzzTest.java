package io.github.jkvm.virtio.vhost;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.MemoryRegion;
import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.Choices;
import io.github.jkvm.testkit.virtio.DeviceFuzz;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.fuzz.DeviceFuzzTest;
import io.github.jkvm.virtio.fuzz.VirtioFuzz;
import java.lang.foreign.Arena;

/** A hostile guest in front, a hostile back end behind. What the device opens for both is closed with it. */
class VhostUserDeviceFuzzTest extends DeviceFuzzTest {
    /** What the process may open by itself meanwhile. */
    private static final int SLACK = 4;

    private final MemoryRegion memory;
    private HostileBackEnd backEnd;
    private int devices;
    private int filesInTheBeginning;

    VhostUserDeviceFuzzTest() throws Exception {
        memory = SharedRegion.create(Arena.ofAuto(), VirtioDriver.MEMORY_BYTES);
    }

    @Override
    protected DeviceFuzz fuzz() {
        return VirtioFuzz.ofDevices(this::device, this::request).memory(() -> memory);
    }

    private VirtioDevice device(Choices choices) {
        if (backEnd != null) {
            backEnd.close();
        }
        devices++;
        if (devices == 2) {
            filesInTheBeginning = HostileBackEnd.openFiles();
        } else if (devices > 2) {
            assertThat(HostileBackEnd.openFiles())
                    .as("files left open")
                    .isLessThanOrEqualTo(filesInTheBeginning + SLACK);
        }
        backEnd = new HostileBackEnd(choices);
        return switch (devices % 4) {
            case 0 -> new VhostUserFs("fs0", backEnd, "share");
            case 1 -> new VhostUserNet("net0", backEnd, new byte[6], 1 + choices.below(3));
            default -> new VhostUserBlock("disk0", backEnd, 1 + choices.below(3));
        };
    }

    /** Mostly commands, which network devices serve themselves; to back ends all chains are the same. */
    private Chain request(Choices choices, int queue) {
        Chain chain = Chain.of();
        if (choices.oneIn(8)) {
            backEnd.disturb();
        }
        if (choices.oneIn(4)) {
            chain = chain.readable(choices.bytes(40));
        } else {
            chain = chain.readable((byte) 4, (byte) 0, (byte) choices.below(5), (byte) 0);
        }
        return chain.writable(1 + choices.below(16));
    }
}
