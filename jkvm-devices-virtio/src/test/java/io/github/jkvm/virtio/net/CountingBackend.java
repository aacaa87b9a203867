package io.github.jkvm.virtio.net;

import io.github.jkvm.EventLoop;
import java.util.Set;

/** A network that takes everything and has nothing. */
class CountingBackend implements NetBackend {
    long bytes;

    @Override
    public int maxQueuePairs() {
        return 1;
    }

    @Override
    public Set<Offload> offloads() {
        return Set.of();
    }

    @Override
    public LinkState link() {
        return LinkState.UP;
    }

    @Override
    public void start(EventLoop loop, Events events) {}

    @Override
    public void guestAccepts(Set<Offload> accepted) {}

    @Override
    public void usePairs(int pairs) {}

    @Override
    public Sent send(int pair, Frame frame) {
        bytes += frame.size();
        return Sent.TAKEN;
    }

    @Override
    public long receive(int pair, Frame room) {
        return 0;
    }

    @Override
    public void stop() {}

    @Override
    public void close() {}
}
