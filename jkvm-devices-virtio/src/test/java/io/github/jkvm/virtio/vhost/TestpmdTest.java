package io.github.jkvm.virtio.vhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import java.io.IOException;
import java.io.Reader;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A network device that DPDK serves: its testpmd sends each frame back on the pair of queues that it came by. Skipped where it is not installed. */
@Timeout(120)
class TestpmdTest {
    private static final int PAIRS = 2;

    /** {@code struct virtio_net_hdr_v1}. */
    private static final int HEADER = 12;

    private static final int FRAME = 64;

    @TempDir
    Path folder;

    private final StringBuilder output = new StringBuilder();

    /** Starts one that listens. */
    private Process start(Path socket) throws IOException {
        Process process;
        try {
            process = new ProcessBuilder(
                            "stdbuf", // What it prints is waited for.
                            "-oL",
                            "dpdk-testpmd",
                            "--no-huge",
                            "-m",
                            "128",
                            "--no-pci",
                            "--no-telemetry",
                            "--file-prefix=" + folder.getFileName(),
                            "-l",
                            "0,1",
                            "--vdev=net_vhost0,iface=" + socket + ",queues=" + PAIRS,
                            "--",
                            "--forward-mode=io",
                            "--auto-start",
                            "--total-num-mbufs=4096",
                            "--rxq=" + PAIRS,
                            "--txq=" + PAIRS)
                    .redirectErrorStream(true)
                    .start();
        } catch (IOException e) {
            return abort("no dpdk-testpmd: apt-get install dpdk-dev librte-net-vhost23: " + e.getMessage());
        }
        Reader reader = process.inputReader(StandardCharsets.UTF_8);
        for (int next; (next = reader.read()) >= 0; ) {
            output.append((char) next);
            if (output.indexOf("Press enter to exit") >= 0) {
                Thread.ofPlatform().daemon().start(() -> drain(reader));
                return process;
            }
        }
        return abort("testpmd does not start here:\n" + output);
    }

    private static void drain(Reader reader) {
        char[] some = new char[1024];
        try {
            while (reader.read(some) >= 0) {
                // What it says while it works is of no interest.
            }
        } catch (IOException ended) {
            // It was killed.
        }
    }

    private static void await(VirtioDriver guest, BooleanSupplier condition) {
        guest.loop().runUntil(() -> {
            guest.loop().checkSources();
            return condition.getAsBoolean();
        });
    }

    @Test
    void carriesFramesOnEveryPairOfQueues() throws Exception {
        Path socket = folder.resolve("socket");
        Process testpmd = start(socket);
        VirtioDriver guest = null;
        try {
            var net = new VhostUserNet("net0", socket, new byte[] {2, 0, 0, 0, 0, 9}, PAIRS);
            guest = Guests.attach(net, SharedRegion.create(Arena.ofAuto(), VirtioDriver.MEMORY_BYTES));
            for (int round = 0; round < 3; round++) {
                guest.start(guest.offered());
                usePairs(guest);
                for (int pair = 0; pair < PAIRS; pair++) {
                    exchange(guest, pair, 16 * round + pair);
                }
            }
            assertThat(net.counters()).containsEntry("backEndLosses", 0L);
        } finally {
            if (guest != null) {
                guest.close();
            }
            testpmd.destroyForcibly().waitFor(1, TimeUnit.MINUTES);
        }
    }

    private static void usePairs(VirtioDriver guest) {
        int control = 2 * PAIRS;
        Buffer status = guest.buffers().writable(1);
        guest.queue(control).add(guest.buffers().readable((byte) 4, (byte) 0, (byte) PAIRS, (byte) 0), status);
        guest.kick(control);
        await(guest, () -> guest.queue(control).takeUsed().isPresent());
        assertThat(guest.buffers().bytes(status)).containsExactly(0);
    }

    private static void exchange(VirtioDriver guest, int pair, int value) {
        Buffer received = guest.buffers().writable(2048);
        guest.queue(2 * pair).add(received);
        guest.kick(2 * pair);
        byte[] frame = new byte[HEADER + FRAME];
        Arrays.fill(frame, HEADER, frame.length, (byte) value);
        // Until it comes back: testpmd may still be looking at the rings, and drops what comes before that.
        await(guest, () -> {
            if (guest.queue(2 * pair + 1).freeDescriptors() > 2) {
                guest.queue(2 * pair + 1).add(guest.buffers().readable(frame));
                guest.kick(2 * pair + 1);
            }
            guest.queue(2 * pair + 1).takeUsed();
            return guest.queue(2 * pair).takeUsed().isPresent();
        });
        byte[] content = guest.buffers().bytes(received);
        assertThat(Arrays.copyOfRange(content, HEADER, HEADER + FRAME))
                .isEqualTo(Arrays.copyOfRange(frame, HEADER, frame.length));
        guest.buffers().clear();
    }
}
