package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.SandboxException;
import java.io.IOException;
import java.nio.channels.ByteChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/** A guest without a machine: connections come from the test, and end when it is stopped. */
final class ChannelGuest implements LinuxGuest {
    /** Makes connections. */
    interface Source {
        ByteChannel connect() throws IOException;
    }

    final AtomicLong cpuNanos = new AtomicLong();
    private final Source source;
    private final Optional<NetworkOrder> network;
    private final Queue<ByteChannel> open = new ConcurrentLinkedQueue<>();
    private volatile boolean stopped;
    private volatile Consumer<SandboxException> onEnd = how -> {};

    ChannelGuest(Source source) {
        this(source, Optional.empty());
    }

    ChannelGuest(Source source, Optional<NetworkOrder> network) {
        this.source = source;
        this.network = network;
    }

    /** Makes it the clean state of all guests. */
    static CleanState always(Source source) {
        return always(source, Optional.empty());
    }

    /** Makes it the clean state of all guests, which have a network. */
    static CleanState always(Source source, Optional<NetworkOrder> network) {
        return new CleanState() {
            @Override
            public LinuxGuest start() {
                return new ChannelGuest(source, network);
            }

            @Override
            public CleanState share() {
                return this;
            }

            @Override
            public void close() {}
        };
    }

    @Override
    public ByteChannel connect(Duration timeout) throws IOException {
        if (stopped) {
            throw new IOException("the guest is stopped");
        }
        ByteChannel channel = source.connect();
        open.add(channel);
        return channel;
    }

    @Override
    public Optional<NetworkOrder> network() {
        return network;
    }

    @Override
    public long cpuNanos() {
        return cpuNanos.get();
    }

    @Override
    public int processors() {
        return 1;
    }

    @Override
    public void onEnd(Consumer<SandboxException> action) {
        onEnd = action;
    }

    void end(String how) {
        onEnd.accept(LinuxGuest.brokeDown(how, null));
    }

    @Override
    public void stop() {
        stopped = true;
        Thread.ofPlatform().start(this::hangUp);
    }

    private void hangUp() {
        for (ByteChannel channel : open) {
            try {
                channel.close();
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        }
    }

    @Override
    public void close() {
        stopped = true;
        hangUp();
    }
}
