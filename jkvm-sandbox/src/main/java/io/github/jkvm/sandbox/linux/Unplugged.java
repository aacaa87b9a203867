package io.github.jkvm.sandbox.linux;

import io.github.jkvm.EventLoop;
import io.github.jkvm.virtio.net.Frame;
import io.github.jkvm.virtio.net.LinkState;
import io.github.jkvm.virtio.net.NetBackend;
import io.github.jkvm.virtio.net.Offload;
import java.util.Set;

/** The network of a guest that boots: none. What it goes on with later has the real one. */
final class Unplugged implements NetBackend {
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
        return LinkState.DOWN;
    }

    @Override
    public void start(EventLoop loop, Events events) {}

    @Override
    public void guestAccepts(Set<Offload> accepted) {}

    @Override
    public void usePairs(int pairs) {}

    @Override
    public Sent send(int pair, Frame frame) {
        return Sent.DROPPED;
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
