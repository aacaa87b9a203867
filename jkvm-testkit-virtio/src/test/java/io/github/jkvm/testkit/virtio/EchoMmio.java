package io.github.jkvm.testkit.virtio;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.Interrupt;
import io.github.jkvm.IoHandler;
import io.github.jkvm.PlatformSlot;
import java.util.ArrayList;
import java.util.List;

/**
 * As little of a virtio device as the harness can drive, written by hand: one split queue, whose chains are answered with what they read. It trusts
 * its driver, and does what {@link Habit} says.
 */
final class EchoMmio implements Device, IoHandler {
    private static final int QUEUE_SIZE = 16;
    private static final int MOST_BYTES = 4096;
    private static final long OFFERED = RingFeatures.VERSION_1 | 1;

    /** Something that is wrong with it, or not. */
    enum Habit {
        GOOD,
        SAYS_IT_WROTE_MORE,
        USES_WHAT_IT_HAS_NOT,
        NEVER_ANSWERS,
        LOOPS,
        THROWS_AT_LONG_REQUESTS,
        ALLOCATES_MUCH
    }

    private final Habit habit;
    private final int[] registers = new int[0x200 / Integer.BYTES];
    private GuestMemory memory;
    private Interrupt interrupt;
    private int served;

    EchoMmio(Habit habit) {
        this.habit = habit;
    }

    @Override
    public String name() {
        return "echo0";
    }

    @Override
    public void attach(Bus bus) {
        memory = bus.memory();
        PlatformSlot slot = bus.platformSlot("LNRO0005", 0x200);
        interrupt = bus.interrupt(slot.gsi());
        bus.claimMmio(slot.base(), 0x200, this, name());
    }

    @Override
    public long read(long offset, int size) {
        return switch ((int) offset) {
            case 0x00 -> 0x7472_6976;
            case 0x04 -> 2;
            case 0x08 -> 42;
            case 0x10 -> (int) (OFFERED >>> (registers[0x14 / 4] * 32));
            case 0x34 -> registers[0x30 / 4] == 0 ? QUEUE_SIZE : 0;
            default -> registers[(int) offset / 4];
        };
    }

    @Override
    public void write(long offset, int size, long value) {
        if (size != Integer.BYTES) {
            return;
        }
        switch ((int) offset) {
            case 0x50 -> serve();
            case 0x64 -> registers[0x60 / 4] &= (int) ~value;
            case 0x70 -> {
                registers[0x70 / 4] = (int) value;
                if (value == 0) {
                    served = 0;
                    registers[0x60 / 4] = 0;
                }
            }
            default -> registers[(int) offset / 4] = (int) value;
        }
    }

    private long address(int register) {
        return Integer.toUnsignedLong(registers[register / 4]) | (long) registers[register / 4 + 1] << 32;
    }

    private void serve() {
        var areas = new QueueAreas(QUEUE_SIZE, address(0x80), address(0x90), address(0xA0));
        if (areas.descriptors() == 0 || habit == Habit.NEVER_ANSWERS) {
            return;
        }
        while (habit == Habit.LOOPS && !Thread.currentThread().isInterrupted()) {
            Thread.onSpinWait();
        }
        int end = memory.readShortAcquire(areas.availableIndex()) & 0xFFFF;
        for (int count = 0; served != end && count < QUEUE_SIZE; count++) {
            int head = memory.readShort(areas.availableEntry(served)) & 0xFFFF;
            long written = head < QUEUE_SIZE ? echo(areas, head) : -1;
            if (written < 0) {
                registers[0x70 / 4] |= DeviceStatus.NEEDS_RESET;
                break;
            }
            long entry = areas.usedEntry(served);
            memory.writeInt(entry, habit == Habit.USES_WHAT_IT_HAS_NOT ? head + 1 : head);
            memory.writeInt(entry + 4, (int) (habit == Habit.SAYS_IT_WROTE_MORE ? written + 1 : written));
            served = (served + 1) & 0xFFFF;
            memory.writeShortRelease(areas.usedIndex(), (short) served);
        }
        registers[0x60 / 4] |= 1;
        interrupt.signal();
    }

    /** Returns how much was written, or -1 if the chain can't be served. */
    private long echo(QueueAreas areas, int head) {
        List<Byte> read = new ArrayList<>();
        long written = 0;
        long at = areas.descriptor(head);
        for (int count = 0; count < QUEUE_SIZE; count++) {
            long address = memory.readLong(at);
            int length = memory.readInt(at + 8);
            int flags = memory.readShort(at + 12);
            if (length < 0
                    || length > MOST_BYTES
                    || !memory.contains(address, length)
                    || (flags & Buffer.INDIRECT) != 0) {
                return -1;
            }
            if (habit == Habit.THROWS_AT_LONG_REQUESTS && length > 50) {
                throw new IllegalStateException("too long for me: " + length);
            }
            byte[] buffer = new byte[habit == Habit.ALLOCATES_MUCH ? Math.max(1, length) << 20 : 0];
            for (int i = 0; i < length; i++) {
                if ((flags & Buffer.WRITE) == 0) {
                    read.add(memory.readByte(address + i));
                } else if (written < read.size()) {
                    memory.writeByte(address + i, read.get((int) written++));
                }
            }
            if ((flags & Buffer.NEXT) == 0) {
                return written + Math.min(0, buffer.length);
            }
            int next = memory.readShort(at + 14) & 0xFFFF;
            if (next >= QUEUE_SIZE) {
                return -1;
            }
            at = areas.descriptor(next);
        }
        return -1;
    }

    @Override
    public void close() {
        interrupt.close();
    }
}
