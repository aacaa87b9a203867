package io.github.jkvm.machine.pci;

import io.github.jkvm.Bus;
import io.github.jkvm.HostFile;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.IoHandler;
import io.github.jkvm.MessageInterrupt;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The MSI-X vectors of one function: its table of messages, and the array of pending bits (6.8.2.6 to 6.8.2.9), both in one range of
 * registers of which the table has the lower half.
 *
 * <p>The guest may write the table in words of 4 or 8 bytes at multiples of that (6.8.2), and other writes do nothing. Safe for use by many
 * threads.
 */
final class MsixTable implements IoHandler, AutoCloseable {
    /** Message control register (6.8.2.3). */
    static final int CONTROL_ENABLE = 1 << 15;

    static final int CONTROL_MASK_ALL = 1 << 14;

    static final int ENTRY_SIZE = 16;
    private static final int WORDS_PER_ENTRY = 4;
    private static final int DATA_WORD = 2;
    private static final int CONTROL_WORD = 3;
    private static final int MASKED = 1;
    private static final int MIN_SIZE = 4096;

    private static final Logger LOG = System.getLogger(MsixTable.class.getName());

    private final String owner;
    private final int vectors;
    private final int size;
    private final MessageInterrupt[] interrupts;
    /** Four words a vector: low and high half of the address, data, control. */
    private final int[] words;

    /** What each interrupt was last told to send, in words as in the table; nothing yet for those not in {@link #told}. */
    private final int[] sent;

    private final BitSet told;
    private final boolean[] pending;

    /** What sends vectors without this process. Few: one for each queue that another process serves. */
    private final List<VectorEvent> attached = new ArrayList<>();

    private volatile int control;
    private boolean closed;
    private boolean warned;

    MsixTable(String owner, int vectors, Bus bus) {
        this.owner = owner;
        this.vectors = vectors;
        this.size = Math.max(MIN_SIZE, 2 * ENTRY_SIZE * Integer.highestOneBit(2 * vectors - 1));
        this.words = new int[vectors * WORDS_PER_ENTRY];
        this.sent = new int[vectors * WORDS_PER_ENTRY];
        this.told = new BitSet(vectors);
        this.pending = new boolean[vectors];
        this.interrupts = new MessageInterrupt[vectors];
        int made = 0;
        try {
            while (made < vectors) {
                interrupts[made] = bus.messageInterrupt();
                made++;
            }
        } catch (Throwable failure) {
            closeFirst(made);
            throw failure;
        }
        reset();
    }

    /** Returns the size of the range, in bytes, a power of two. */
    int size() {
        return size;
    }

    /** Returns where the pending bits are in the range. */
    int pendingOffset() {
        return size / 2;
    }

    boolean isEnabled() {
        return (control & CONTROL_ENABLE) != 0;
    }

    /** Back to what it is at power-on: disabled, every vector masked (6.8.2.9). */
    synchronized void reset() {
        control = 0;
        Arrays.fill(words, 0);
        Arrays.fill(pending, false);
        for (int vector = 0; vector < vectors; vector++) {
            words[vector * WORDS_PER_ENTRY + CONTROL_WORD] = MASKED;
        }
        attached.forEach(VectorEvent::update);
    }

    /** Takes over the message control register. */
    synchronized void setControl(int value) {
        int now = value & (CONTROL_ENABLE | CONTROL_MASK_ALL);
        if (now == control) {
            return;
        }
        control = now;
        for (int vector = 0; vector < vectors; vector++) {
            update(vector);
        }
    }

    synchronized void signal(int vector) {
        if (closed || !isEnabled() || vector < 0 || vector >= vectors) {
            return;
        }
        if (isLive(vector)) {
            interrupts[vector].signal();
        } else {
            pending[vector] = true;
        }
    }

    /** Has an event of the host's send a vector's message, whenever it is live. */
    synchronized MessageInterrupt.Attachment attach(int vector, HostFile event) {
        if (closed || vector < 0 || vector >= vectors) {
            return () -> {};
        }
        var added = new VectorEvent(vector, event);
        attached.add(added);
        added.update();
        return added;
    }

    /** An event of the host's and the vector that it is to send. */
    private final class VectorEvent implements MessageInterrupt.Attachment {
        private final int vector;
        private final HostFile event;
        private MessageInterrupt.@Nullable Attachment live;

        VectorEvent(int vector, HostFile event) {
            this.vector = vector;
            this.event = event;
        }

        /** Sends by itself if the vector is live and its interrupt has its message; what the event counts otherwise is not lost. */
        void update() {
            if (closed || !isLive(vector) || !isTold(vector)) {
                end();
            } else if (live == null) {
                try {
                    live = interrupts[vector].attach(event);
                } catch (HypervisorException | IllegalStateException refused) {
                    LOG.log(Level.DEBUG, "{0} passes on what vector {1} is to send: {2}", owner, vector, refused);
                }
            }
        }

        private void end() {
            MessageInterrupt.Attachment now = live;
            if (now != null) {
                live = null;
                now.close();
            }
        }

        @Override
        public void close() {
            synchronized (MsixTable.this) {
                if (attached.remove(this)) {
                    end();
                }
            }
        }
    }

    private boolean isLive(int vector) {
        return control == CONTROL_ENABLE && (words[vector * WORDS_PER_ENTRY + CONTROL_WORD] & MASKED) == 0;
    }

    /** Whether a vector's interrupt sends what the table says. */
    private boolean isTold(int vector) {
        int at = vector * WORDS_PER_ENTRY;
        return told.get(vector) && Arrays.equals(words, at, at + CONTROL_WORD, sent, at, at + CONTROL_WORD);
    }

    private void update(int vector) {
        send(vector);
        for (VectorEvent each : attached) {
            if (each.vector == vector) {
                each.update();
            }
        }
    }

    /** Once a vector may send: gives its interrupt the message, then sends what is pending. */
    private void send(int vector) {
        if (closed || !isLive(vector)) {
            return;
        }
        int at = vector * WORDS_PER_ENTRY;
        if (!isTold(vector)) {
            long address = Integer.toUnsignedLong(words[at]) | (long) words[at + 1] << Integer.SIZE;
            try {
                interrupts[vector].setMessage(address, words[at + DATA_WORD]);
            } catch (HypervisorException refused) {
                // The guest chose the message; its vCPU must not fail for it. The vector keeps its last message.
                warn(vector, refused);
                return;
            }
            System.arraycopy(words, at, sent, at, CONTROL_WORD);
            told.set(vector);
        }
        if (pending[vector]) {
            pending[vector] = false;
            interrupts[vector].signal();
        }
    }

    private void warn(int vector, HypervisorException refused) {
        if (!warned) {
            warned = true;
            LOG.log(
                    Level.WARNING,
                    owner + ": the host refuses the message of vector " + vector + "; it stays as it was",
                    refused);
        }
    }

    @Override
    public synchronized long read(long offset, int length) {
        long value = 0;
        for (int i = 0; i < length; i++) {
            value |= (byteAt((int) offset + i) & 0xFFL) << (i * Byte.SIZE);
        }
        return value;
    }

    private int byteAt(int offset) {
        int word;
        if (offset < pendingOffset()) {
            word = offset / Integer.BYTES < words.length ? words[offset / Integer.BYTES] : 0;
        } else {
            word = pendingWord((offset - pendingOffset()) / Integer.BYTES);
        }
        return word >>> (offset % Integer.BYTES * Byte.SIZE) & 0xFF;
    }

    private int pendingWord(int index) {
        int word = 0;
        for (int bit = 0; bit < Integer.SIZE; bit++) {
            int vector = index * Integer.SIZE + bit;
            word |= vector < vectors && pending[vector] ? 1 << bit : 0;
        }
        return word;
    }

    @Override
    public synchronized void write(long offset, int length, long value) {
        if ((length != Integer.BYTES && length != Long.BYTES) || offset % length != 0) {
            return;
        }
        int word = (int) offset / Integer.BYTES;
        if (word >= words.length) {
            return;
        }
        setWord(word, (int) value);
        if (length == Long.BYTES) {
            setWord(word + 1, (int) (value >>> Integer.SIZE));
        }
        update(word / WORDS_PER_ENTRY);
    }

    private void setWord(int word, int value) {
        int kept = switch (word % WORDS_PER_ENTRY) {
            case 0 -> ~0b11; // messages are whole words, at multiples of 4
            case CONTROL_WORD -> MASKED;
            default -> ~0;
        };
        words[word] = value & kept;
    }

    /** Writes the table and the pending bits down. */
    synchronized byte[] toBytes() {
        byte[] bytes = new byte[words.length * Integer.BYTES + vectors];
        for (int i = 0; i < words.length * Integer.BYTES; i++) {
            bytes[i] = (byte) (words[i / Integer.BYTES] >>> (i % Integer.BYTES * Byte.SIZE));
        }
        for (int vector = 0; vector < vectors; vector++) {
            bytes[words.length * Integer.BYTES + vector] = (byte) (pending[vector] ? 1 : 0);
        }
        return bytes;
    }

    /** Returns how many bytes {@link #toBytes} gives. */
    int savedSize() {
        return words.length * Integer.BYTES + vectors;
    }

    /** Takes over what {@link #toBytes} gave, {@link #savedSize()} bytes of any value. The control register comes after. */
    synchronized void restore(byte[] bytes) {
        for (int word = 0; word < words.length; word++) {
            int value = 0;
            for (int i = 0; i < Integer.BYTES; i++) {
                value |= (bytes[word * Integer.BYTES + i] & 0xFF) << (i * Byte.SIZE);
            }
            setWord(word, value);
        }
        for (int vector = 0; vector < vectors; vector++) {
            pending[vector] = bytes[words.length * Integer.BYTES + vector] != 0;
        }
        control = 0;
        attached.forEach(VectorEvent::update);
    }

    @Override
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            attached.forEach(VectorEvent::update);
        }
        closeFirst(vectors);
    }

    private void closeFirst(int count) {
        for (int vector = 0; vector < count; vector++) {
            interrupts[vector].close();
        }
    }
}
