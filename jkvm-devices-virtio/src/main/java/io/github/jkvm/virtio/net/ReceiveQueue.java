package io.github.jkvm.virtio.net;

import io.github.jkvm.EventLoop;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.queue.ChainWriter;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * A queue of buffers for frames that the guest gets. The backend puts each frame right into the buffers.
 *
 * <p>How long a frame is, is known once it is there. So buffers are popped ahead, enough for the longest frame that the guest has agreed to, and kept
 * until they are used. If there are fewer, the end of a frame may come to lie in memory of the host, and it waits for more.
 */
final class ReceiveQueue {
    /** How many frames are received before others on the loop get their turn. */
    private static final int TURN = 256;

    /** How long a frame waits for buffers that are still missing. */
    private static final Duration PATIENCE = Duration.ofMillis(100);

    private final NetDevice device;
    private final DeviceQueue queue;
    private final int pair;
    private final RateLimiter limiter;
    private final NetCounters counters;
    private final Frame room = new Frame();
    private final Runnable again = this::pump;

    /** Takes what of a frame the popped buffers have no room for; native, for backends that let the kernel write to it. */
    private final MemorySegment spill = Arena.ofAuto().allocate(Frame.MAX_SIZE);

    private final MemorySegment scratch = Arena.ofAuto().allocate(Long.BYTES);

    /** Chains to pop into; those in use are {@link #count} from {@link #first} on, around the end. */
    private final DescriptorChain[] chains;

    private int first;
    private int count;

    /** Room in the popped chains in bytes. */
    private long capacity;

    /** Length of a frame that was received and not delivered yet, or 0. */
    private long pending;

    /** How much of it lies in the chains; the rest is in the spill. */
    private long inChains;

    /** Length of a frame that was delivered before the limiter let it through, or 0. */
    private long owed;

    private EventLoop.@Nullable Registration limitTimer;
    private EventLoop.@Nullable Registration roomTimer;

    ReceiveQueue(NetDevice device, DeviceQueue queue, int size, int pair, RateLimiter limiter, NetCounters counters) {
        this.device = device;
        this.queue = queue;
        this.pair = pair;
        this.limiter = limiter;
        this.counters = counters;
        this.chains = new DescriptorChain[size];
        for (int i = 0; i < size; i++) {
            chains[i] = new DescriptorChain();
        }
        room.clearParts(OffloadHeader.SIZE);
    }

    /** Receives what is there, as far as there are buffers. */
    void pump() {
        if (!device.usesPair(pair) || !queue.isActive() || limitTimer != null) {
            return;
        }
        queue.disableNotifications();
        int left = TURN;
        while (left > 0 && limitTimer == null && receive()) {
            left--;
        }
        queue.interrupt();
        if (left == 0) {
            device.later(again);
        }
    }

    /** Brings one frame further; false if there is none, or no room for it. */
    private boolean receive() {
        if (pending == 0 && !take()) {
            return false;
        }
        if (pending == 0) {
            return true;
        }
        if (room.size() < pending) {
            fill(OffloadHeader.SIZE + pending);
            if (room.size() < pending) {
                return waitForRoom();
            }
        }
        deliver();
        return true;
    }

    /** Takes the next frame, to be dropped at once or to be pending; false if there is none, or no room. */
    private boolean take() {
        if (!fill(OffloadHeader.SIZE + device.longestFrame())) {
            return false;
        }
        int parts = room.partCount();
        inChains = room.size();
        // A frame that is longer than agreed must show as such.
        if (inChains < Frame.MAX_SIZE) {
            room.add(spill, 0, spill.byteSize());
        }
        pending = device.backend().receive(pair, room);
        boolean some = pending != 0;
        if (some && !acceptable()) {
            pending = 0;
        }
        inChains = Math.min(inChains, pending);
        room.keepParts(parts);
        return some;
    }

    /** Pops chains until there is that much room, if there are as many; false if there is none at all. */
    private boolean fill(long wanted) {
        int bad = 0;
        while (capacity < wanted && count < chains.length && (count == 0 || device.mergesBuffers())) {
            DescriptorChain chain = chain(count);
            if (!queue.pop(chain)) {
                if (queue.enableNotifications()) {
                    continue;
                }
                break;
            }
            // "each buffer MUST be at least the size of the struct virtio_net_hdr" (virtio 1.2, 5.1.6.3.1)
            if (chain.readableBytes() != 0 || chain.writableBytes() < OffloadHeader.SIZE) {
                if (count != 0) {
                    // Those before it can only be put back, to be saved, if none behind them was completed.
                    queue.putBack(chain);
                    break;
                }
                counters.badReceiveChains.increment();
                queue.complete(chain, 0);
                bad++;
                if (bad == TURN) {
                    device.later(again);
                    break;
                }
                continue;
            }
            ChainWriter writer = chain.writer();
            writer.forEachPart(writer.remaining(), room.parts());
            capacity += chain.writableBytes();
            count++;
        }
        return count != 0;
    }

    /** Lists the room of the popped chains anew, behind the header. */
    private void layOut() {
        room.clearParts(OffloadHeader.SIZE);
        for (int i = 0; i < count; i++) {
            ChainWriter writer = chain(i).writer();
            writer.forEachPart(writer.remaining(), room.parts());
        }
    }

    /** Returns a popped chain, or beyond these a free one. */
    private DescriptorChain chain(int index) {
        return chains[(first + index) & (chains.length - 1)];
    }

    /** Tells whether the frame received may be delivered, and does what the guest has not agreed to do itself. */
    private boolean acceptable() {
        if (pending > room.size() || pending < Frame.MIN_SIZE || !device.guestMayReceive(room, pending)) {
            counters.receiveDropped.increment();
            return false;
        }
        if (device.isForFormerMac(room) || !device.filter().wants(room, device.mac())) {
            counters.receiveFiltered.increment();
            return false;
        }
        if (!device.offloads().guestAccepts(Offload.CHECKSUM)) {
            if (room.header().needsChecksum()) {
                Checksum.complete(room, pending, scratch);
                counters.checksumsCompleted.increment();
            }
            // "MUST set flags to zero" if GUEST_CSUM was not agreed on (virtio 1.2, 5.1.6.4.1)
            room.header().setFlags(0);
        } else {
            room.header().setFlags(room.header().flags() & (OffloadHeader.NEEDS_CHECKSUM | OffloadHeader.DATA_VALID));
        }
        return true;
    }

    /** Keeps a frame for which buffers are missing; false until they are there. */
    private boolean waitForRoom() {
        if (!device.mergesBuffers() || count == chains.length || room.hasTooManyParts()) {
            dropPending();
            return true;
        }
        if (roomTimer == null) {
            // A queue that is too small for the frame would hold it up for ever.
            roomTimer = device.after(PATIENCE, () -> {
                roomTimer = null;
                dropPending();
                pump();
            });
        }
        return false;
    }

    private void dropPending() {
        if (pending != 0) {
            pending = 0;
            counters.receiveDropped.increment();
        }
    }

    private void deliver() {
        closeRoomTimer();
        if (inChains < pending) {
            room.copyFrom(spill, 0, inChains, pending - inChains);
        }
        long left = OffloadHeader.SIZE + pending;
        int used = 0;
        long covered = 0;
        for (; covered < left; used++) {
            covered += chain(used).writableBytes();
        }
        room.header().setBuffers(used);
        // A driver that sees the first buffer takes the others for granted (Linux, drivers/net/virtio_net.c).
        queue.holdCompletions();
        for (int i = 0; i < used; i++) {
            DescriptorChain chain = chain(i);
            ChainWriter writer = chain.writer();
            if (i == 0) {
                writer.writeExactly(room.header().bytes());
            }
            writer.advance(Math.min(writer.remaining(), left - writer.position()));
            left -= writer.position();
            queue.complete(chain, writer.position());
        }
        queue.showCompletions();
        first = (first + used) & (chains.length - 1);
        count -= used;
        capacity -= covered;
        // Up to the next chain's room, behind the header it has to begin with.
        room.leaveOut(covered);
        if (room.hasTooManyParts()) {
            layOut();
        }
        counters.receivedFrames.increment();
        counters.receivedBytes.add(pending);
        owed = pending;
        pending = 0;
        pay();
    }

    /** The limiter is asked after the fact, when the length is known: the next frame waits instead. */
    private void pay() {
        long wait = limiter.tryTake(owed);
        if (wait == 0) {
            owed = 0;
            return;
        }
        limitTimer = device.after(Duration.ofNanos(wait), () -> {
            limitTimer = null;
            pay();
            pump();
        });
    }

    /** Gives all buffers back that are not used yet; a frame that waits for room is lost. */
    void putBack() {
        dropPending();
        closeRoomTimer();
        for (int i = count - 1; i >= 0; i--) {
            queue.putBack(chain(i));
        }
        forgetChains();
    }

    /** Forgets everything; the driver has taken the queue back. */
    void stop() {
        dropPending();
        closeRoomTimer();
        EventLoop.Registration waiting = limitTimer;
        limitTimer = null;
        if (waiting != null) {
            waiting.close();
        }
        owed = 0;
        forgetChains();
    }

    private void forgetChains() {
        first = 0;
        count = 0;
        capacity = 0;
        room.header().clear();
        room.clearParts(OffloadHeader.SIZE);
    }

    private void closeRoomTimer() {
        EventLoop.Registration waiting = roomTimer;
        roomTimer = null;
        if (waiting != null) {
            waiting.close();
        }
    }
}
