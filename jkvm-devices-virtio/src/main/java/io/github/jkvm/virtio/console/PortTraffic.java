package io.github.jkvm.virtio.console;

import io.github.jkvm.virtio.Counter;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.DescriptorChain;

/** Moves bytes between the queues and the pipes of ports. On the loop; allocates nothing. */
final class PortTraffic {
    /** How many bytes one port moves before others get their turn. */
    private static final long TURN = 256 << 10;

    /** What a chain counts beside its bytes. */
    private static final long CHAIN_COST = 256;

    private final DescriptorChain chain = new DescriptorChain();
    private final Counter bytesFromGuest;
    private final Counter bytesToGuest;
    private final Counter bytesDropped;

    PortTraffic(Counter bytesFromGuest, Counter bytesToGuest, Counter bytesDropped) {
        this.bytesFromGuest = bytesFromGuest;
        this.bytesToGuest = bytesToGuest;
        this.bytesDropped = bytesDropped;
    }

    /**
     * Moves the guest's bytes, as far as there is room for them.
     *
     * @return true if there are more for another turn
     */
    boolean fromGuest(DeviceQueue queue, PortSlot slot, ConsolePort port) {
        Counter counter = port.fromGuest().isReaderClosed() ? bytesDropped : bytesFromGuest;
        long left = TURN;
        boolean more;
        do {
            queue.disableNotifications();
            while (left > 0 && queue.pop(chain)) {
                ChainReader reader = chain.reader();
                reader.skip(Math.min(slot.sent(), reader.remaining()));
                long taken = port.fromGuest().fill(reader, reader.remaining());
                counter.add(taken);
                left -= taken + CHAIN_COST;
                if (reader.remaining() != 0) {
                    // It waits in the queue for room, so that nothing is in flight when the machine is saved.
                    slot.setSent(reader.position());
                    queue.putBack(chain);
                    queue.interrupt();
                    return false;
                }
                slot.setSent(0);
                queue.complete(chain, 0);
            }
            more = queue.enableNotifications();
        } while (more && left > 0);
        queue.interrupt();
        return more;
    }

    /**
     * Moves the program's bytes, as far as the driver has given buffers for them.
     *
     * @return true if there are more for another turn
     */
    boolean toGuest(DeviceQueue queue, ConsolePort port) {
        long left = TURN;
        while (port.isGuestOpen() && port.toGuest().pending() > 0) {
            if (left <= 0) {
                queue.interrupt();
                return true;
            }
            if (queue.pop(chain)) {
                long given = port.toGuest().drain(chain.writer(), Long.MAX_VALUE);
                bytesToGuest.add(given);
                left -= given + CHAIN_COST;
                queue.complete(chain, given);
            } else if (!queue.enableNotifications()) {
                break;
            }
        }
        queue.interrupt();
        return false;
    }
}
