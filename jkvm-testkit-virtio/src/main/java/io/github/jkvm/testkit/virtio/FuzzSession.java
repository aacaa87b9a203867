package io.github.jkvm.testkit.virtio;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** One device and its hostile guest. */
final class FuzzSession {
    /** With fewer free descriptors, a driver that never gets its chains back begins anew. */
    private static final int FEW_DESCRIPTORS = 16;

    private static final int CONFIG_BYTES = 300;
    private static final int FIRST_RING = 0x1_0000;
    private static final int RING_SPACE = 0x1_0000;

    private final VirtioDriver driver;
    private final Choices choices;
    private final DeviceFuzz.Requests requests;
    private final int queues;
    private long features;

    /** Whether the rings were changed behind the driver's back, who then can't tell what is used. */
    private boolean corrupt;

    /** Begins with a driver that was started with all that its device offers. */
    FuzzSession(VirtioDriver driver, Choices choices, DeviceFuzz.Requests requests) {
        this.driver = driver;
        this.choices = choices;
        this.requests = requests;
        features = driver.offered();
        queues = driver.queues().size();
    }

    void runCase() {
        int free = driver.queues().stream()
                .mapToInt(DriverQueue::freeDescriptors)
                .min()
                .orElse(FEW_DESCRIPTORS);
        if (corrupt || driver.needsReset() || free < FEW_DESCRIPTORS || choices.oneIn(64)) {
            restart();
        }
        driver.buffers().clear();
        int count = 1 + choices.below(4);
        for (int i = 0; i < count && queues != 0; i++) {
            int queue = choices.below(queues);
            add(queue);
            disturb();
            driver.kick(choices.oneIn(16) ? choices.below(queues) : queue);
        }
        if (choices.oneIn(8)) {
            driver.loop().advance(Duration.ofMillis(choices.below(2_000)));
        }
        if (choices.oneIn(4)) {
            driver.loop().checkSources();
        }
        driver.run();
        if (!corrupt && !driver.needsReset()) {
            driver.queues().forEach(FuzzSession::drain);
        }
    }

    private static void drain(DriverQueue queue) {
        while (queue.takeUsed().isPresent()) {
            // What it says is for the device's own tests.
        }
    }

    private void restart() {
        features = driver.offered();
        if (choices.oneIn(4)) {
            features &= ~RingFeatures.DEVICE_SPECIFIC | choices.number();
        }
        driver.negotiate(features);
        if ((driver.status() & DeviceStatus.FEATURES_OK) == 0) {
            features = driver.offered();
        }
        driver.start(features);
        corrupt = false;
    }

    private void add(int queue) {
        Chain chain = requests.make(choices, queue);
        if (chain.parts() == 0) {
            return;
        }
        DriverQueue ring = driver.queue(queue);
        if (choices.oneIn(64)) {
            addBroken(ring, chain);
            return;
        }
        List<Buffer> buffers = new ArrayList<>(chain.in(driver.buffers()).buffers());
        if (choices.oneIn(8)) {
            spoil(buffers);
        }
        if (buffers.isEmpty() || buffers.size() > Math.min(Chain.MAX_INDIRECT, ring.freeDescriptors())) {
            return;
        }
        if (choices.oneIn(3)) {
            ring.addIndirect(buffers.toArray(Buffer[]::new));
        } else {
            ring.add(buffers.toArray(Buffer[]::new));
        }
    }

    /** Breaks a rule of the ring. */
    private void addBroken(DriverQueue ring, Chain chain) {
        Set<ChainDefect> possible = ChainDefect.possibleWith(features);
        Optional<ChainDefect> defect =
                possible.stream().skip(choices.below(possible.size())).findFirst();
        if (defect.isPresent() && chain.parts() < Math.min(Chain.MAX_INDIRECT, ring.freeDescriptors())) {
            ring.add((choices.oneIn(3) ? chain.indirect() : chain)
                    .broken(defect.get())
                    .in(driver.buffers()));
            corrupt = true;
        }
    }

    /** Breaks a request: a part missing, twice, elsewhere, longer, shorter or the other way round. */
    private void spoil(List<Buffer> chain) {
        int at = choices.below(chain.size());
        Buffer buffer = chain.get(at);
        switch (choices.below(6)) {
            case 0 -> chain.remove(at);
            case 1 -> chain.add(at, buffer);
            case 2 -> {
                long address = choices.number();
                chain.set(at, new Buffer(address, buffer.length(), buffer.flags()));
                // The device may be told to write over a ring.
                corrupt |= Long.compareUnsigned(address, VirtioDriver.BUFFERS) < 0;
            }
            case 3 -> chain.set(at, new Buffer(buffer.address(), choices.number() & 0xFFFF_FFFFL, buffer.flags()));
            case 4 -> chain.set(at, new Buffer(buffer.address(), choices.below(64), buffer.flags()));
            default -> chain.set(at, new Buffer(buffer.address(), buffer.length(), buffer.flags() ^ Buffer.WRITE));
        }
    }

    private void touchConfig(int offset, int size) {
        if (!driver.transport().reachesConfig(offset, size)) {
            return;
        }
        if (choices.oneIn(2)) {
            driver.config(offset, size);
        } else {
            driver.setConfig(offset, size, choices.number());
        }
    }

    /** Does something a driver would not do, now and then. */
    private void disturb() {
        if (choices.oneIn(8)) {
            touchConfig(choices.below(CONFIG_BYTES), 1 << choices.below(4));
        }
        if (choices.oneIn(64)) {
            driver.transport().scribble(choices);
        }
        if (choices.oneIn(64)) {
            driver.transport().stopQueue(choices.below(queues + 1), choices);
            corrupt = true;
        }
        if (choices.oneIn(64)) {
            // Bytes of the rings, and of requests under way.
            for (int i = choices.below(8); i >= 0; i--) {
                driver.memory()
                        .writeByte(FIRST_RING + choices.below((queues + 1) * RING_SPACE), (byte) choices.below(256));
            }
            corrupt = true;
        }
    }
}
