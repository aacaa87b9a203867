package io.github.jkvm.virtio;

import io.github.jkvm.Doorbell;
import io.github.jkvm.EventLoop;
import io.github.jkvm.EventSource;
import java.time.Duration;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/** The machine's loop as one device sees it: what code of the device throws there is the failure of that device. */
final class GuardedLoop implements EventLoop {
    private final EventLoop loop;
    private final Consumer<RuntimeException> onFailure;

    GuardedLoop(EventLoop loop, Consumer<RuntimeException> onFailure) {
        this.loop = loop;
        this.onFailure = onFailure;
    }

    private void run(Runnable code) {
        try {
            code.run();
        } catch (RuntimeException e) {
            onFailure.accept(e);
        }
    }

    @Override
    public Registration onRing(Doorbell doorbell, Runnable action) {
        return loop.onRing(doorbell, () -> run(action));
    }

    @Override
    public Registration onReady(EventSource source, IntConsumer action) {
        return loop.onReady(source, ready -> {
            try {
                action.accept(ready);
            } catch (RuntimeException e) {
                onFailure.accept(e);
            }
        });
    }

    @Override
    public Registration schedule(Duration delay, Runnable action) {
        return loop.schedule(delay, () -> run(action));
    }

    @Override
    public void execute(Runnable action) {
        loop.execute(() -> run(action));
    }

    @Override
    public boolean inLoop() {
        return loop.inLoop();
    }

    @Override
    public void close() {
        loop.close();
    }
}
