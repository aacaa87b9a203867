package io.github.jkvm.virtio.net;

import io.github.jkvm.EventLoop;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A place where frames from other virtual machines of the program arrive. They are put here on the senders' loops, into a bounded queue, and
 * taken out on the loop of the machine that is plugged in.
 */
abstract sealed class RingPort implements NetBackend permits SwitchPort, PointToPointLink.End {
    private final FrameRing arrived;
    private final Segmenter segmenter = new Segmenter();
    private volatile @Nullable Session session;
    private volatile Set<Offload> accepted = Set.of();

    /** Whether the device has found nothing here, and is to be told of the next frame. */
    private final AtomicBoolean idle = new AtomicBoolean();

    private record Session(EventLoop loop, Events events) {}

    RingPort(int capacity) {
        arrived = new FrameRing(capacity);
    }

    @Override
    public final int maxQueuePairs() {
        return 1;
    }

    @Override
    public final Set<Offload> offloads() {
        return EnumSet.allOf(Offload.class);
    }

    @Override
    public final void start(EventLoop loop, Events events) {
        arrived.clear();
        accepted = Set.of();
        idle.set(true);
        session = new Session(loop, events);
    }

    @Override
    public final void guestAccepts(Set<Offload> offloads) {
        accepted = Set.copyOf(offloads);
    }

    @Override
    public final void usePairs(int pairs) {}

    @Override
    public final long receive(int pair, Frame room) {
        long size = arrived.poll(room);
        if (size == 0) {
            idle.set(true);
            // A frame may have come before the flag was up, with nobody told.
            size = arrived.poll(room);
            if (size != 0) {
                idle.set(false);
            }
        }
        if (size != 0) {
            taken();
        }
        return size;
    }

    @Override
    public void stop() {
        session = null;
        arrived.clear();
    }

    final boolean isStarted() {
        return session != null;
    }

    final FrameRing arrived() {
        return arrived;
    }

    /** A frame was taken out. */
    void taken() {}

    /** Puts a frame into another port, cut if it must be. Called on this port's loop. */
    final boolean pass(Frame frame, RingPort to) {
        boolean whole = to.takesWhole(frame.header());
        boolean all = whole ? to.arrived.offer(frame) : segmenter.cut(frame, to.arrived::offer);
        to.wake();
        return all;
    }

    final boolean takesWhole(OffloadHeader header) {
        int type = header.gsoType();
        if (type == OffloadHeader.NOT_CUT) {
            // The checksum is completed by the device, if need be.
            return true;
        }
        Set<Offload> now = accepted;
        boolean ecn = (type & OffloadHeader.ECN) == 0 || now.contains(Offload.TSO_ECN);
        return ecn && now.contains((type & ~OffloadHeader.ECN) == OffloadHeader.TCP_V4 ? Offload.TSO4 : Offload.TSO6);
    }

    /** Tells the device that something has arrived, if it waits for it. Called on any thread. */
    private void wake() {
        if (!arrived.isEmpty() && idle.compareAndSet(true, false)) {
            tell(events -> events.readable(0));
        }
    }

    /** Tells the device that it can send again. Called on any thread. */
    final void tellWritable() {
        tell(events -> events.writable(0));
    }

    private void tell(Consumer<Events> what) {
        Session now = session;
        if (now == null) {
            return;
        }
        try {
            now.loop().execute(() -> {
                if (now.equals(session)) {
                    what.accept(now.events());
                }
            });
        } catch (IllegalStateException closed) {
            // The machine is being closed; nobody waits for frames any more.
            session = null;
        }
    }
}
