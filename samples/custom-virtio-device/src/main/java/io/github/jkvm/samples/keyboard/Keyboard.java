package io.github.jkvm.samples.keyboard;

import static java.nio.charset.StandardCharsets.US_ASCII;

import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.VirtioDevice;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.Queue;

/** A virtio input device (virtio 1.2, 5.8) whose keys are pressed by the program. Linux drives it with virtio_input. */
final class Keyboard extends VirtioDevice {
    /** Characters at the codes of their keys (Linux, include/uapi/linux/input-event-codes.h). */
    private static final String KEYS = "\0\0001234567890-=\0\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0\0\0 ";

    /** Events not yet taken by the guest: type and code of 16 bits each, and a value of 32. */
    private final Queue<Long> events = new ArrayDeque<>();

    private final DescriptorChain chain = new DescriptorChain();

    Keyboard() {
        super("keyboard0", 18, new ConfigSpace(136).writable(0, 2), 64, 64);
    }

    /** Presses and releases a key for each character. May be called on any thread. */
    void type(String text) {
        loop().execute(() -> {
            for (long key : text.chars()
                    .mapToLong(KEYS::indexOf)
                    .filter(code -> code > 0)
                    .toArray()) {
                events.add(1 | key << 16 | 1L << 32); // EV_KEY, pressed
                events.add(0L); // EV_SYN: that was all
                events.add(1 | key << 16); // released
                events.add(0L);
            }
            notified(queue(0));
        });
    }

    /** The driver has given buffers for events to queue 0, or says on queue 1 which lamps to light. */
    @Override
    protected void notified(DeviceQueue queue) {
        while (!(queue.index() == 0 && events.isEmpty()) && queue.pop(chain)) {
            boolean event = queue.index() == 0 && chain.writer().has(8);
            if (event) {
                chain.writer().putLong(events.remove());
            }
            queue.complete(chain, event ? 8 : 0);
        }
        queue.interrupt();
    }

    /** The driver has selected what it wants to read: its name, or its keys (5.8.4). Anything else it has not. */
    @Override
    protected void configWritten(int offset, int length) {
        var keys = new BitSet();
        keys.set(2, KEYS.length());
        byte[] answer = switch ((int) config().get(0, 2)) {
            case 0x001 -> "jkvm keyboard".getBytes(US_ASCII);
            case 0x111 -> keys.toByteArray();
            default -> new byte[0];
        };
        config().setByte(2, answer.length).setBytes(8, new byte[128]).setBytes(8, answer);
    }
}
