package io.github.jkvm.testkit.virtio;

import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import org.jspecify.annotations.Nullable;

/** A doorbell rung by {@link TestBus#write}. */
final class TestDoorbell implements Doorbell {
    private final TestBus bus;
    private final Match match;
    private final @Nullable Runnable signal;
    private volatile @Nullable Runnable action;

    TestDoorbell(TestBus bus, Match match, @Nullable Runnable signal) {
        this.bus = bus;
        this.match = match;
        this.signal = signal;
    }

    EventLoop.Registration register(Runnable code) {
        if (action != null) {
            throw new IllegalStateException("doorbell " + match + " is registered already");
        }
        action = code;
        return () -> action = null;
    }

    boolean matches(long address, int size, long value) {
        Long only = match.value();
        return match.address() == address
                && (match.length() == 0 || match.length() == size)
                && (only == null || only == value);
    }

    void ring(ManualEventLoop loop) {
        if (signal != null) {
            signal.run();
        }
        Runnable code = action;
        if (code != null) {
            loop.execute(code);
        }
    }

    @Override
    public Match match() {
        return match;
    }

    /** Returns false: all rings go to the loop. */
    @Override
    public boolean poll() {
        return false;
    }

    @Override
    public void close() {
        bus.remove(this);
    }
}
