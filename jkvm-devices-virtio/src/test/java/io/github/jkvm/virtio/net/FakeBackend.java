package io.github.jkvm.virtio.net;

import io.github.jkvm.EventLoop;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A network that a test plays: keeps what is sent, and has what the test gives it. */
final class FakeBackend implements NetBackend {
    final List<byte[]> sent = new ArrayList<>();
    final List<byte[]> sentHeaders = new ArrayList<>();
    final Deque<byte[]> frames = new ArrayDeque<>();
    final Deque<OffloadHeader> headers = new ArrayDeque<>();
    Set<Offload> accepted = Set.of();
    Sent answer = Sent.TAKEN;
    LinkState link = LinkState.UP;
    int room = Integer.MAX_VALUE;
    int pairs;
    int maxPairs = 1;
    int starts;
    int stops;
    int closes;
    int receives;
    Set<Offload> offloads = EnumSet.allOf(Offload.class);

    @Nullable
    Events events;

    /** Has a frame for the guest. */
    void give(byte[] frame) {
        give(new OffloadHeader(), frame);
    }

    void give(OffloadHeader header, byte[] frame) {
        headers.add(header);
        frames.add(frame);
    }

    @Override
    public int maxQueuePairs() {
        return maxPairs;
    }

    @Override
    public Set<Offload> offloads() {
        return offloads;
    }

    @Override
    public LinkState link() {
        return link;
    }

    @Override
    public void start(EventLoop loop, Events to) {
        starts++;
        events = to;
    }

    @Override
    public void guestAccepts(Set<Offload> set) {
        accepted = Set.copyOf(set);
    }

    @Override
    public void usePairs(int count) {
        pairs = count;
    }

    @Override
    public Sent send(int pair, Frame frame) {
        if (sent.size() >= room) {
            return Sent.FULL;
        }
        byte[] bytes = new byte[(int) frame.size()];
        frame.copyTo(0, MemorySegment.ofArray(bytes), 0, bytes.length);
        sent.add(bytes);
        sentHeaders.add(frame.header().bytes().toArray(ValueLayout.JAVA_BYTE));
        return answer;
    }

    @Override
    public long receive(int pair, Frame room) {
        receives++;
        byte[] frame = frames.poll();
        if (frame == null) {
            return 0;
        }
        room.header().bytes().copyFrom(headers.remove().bytes());
        room.copyFrom(MemorySegment.ofArray(frame), 0, 0, Math.min(frame.length, room.size()));
        return frame.length;
    }

    @Override
    public void stop() {
        stops++;
        events = null;
    }

    @Override
    public void close() {
        closes++;
    }
}
