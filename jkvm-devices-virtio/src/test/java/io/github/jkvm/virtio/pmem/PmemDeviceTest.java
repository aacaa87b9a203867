package io.github.jkvm.virtio.pmem;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.jkvm.DeviceState;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryBacking.Sharing;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.queue.RingFormat;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.lifecycle.AfterTry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PmemDeviceTest {
    private static final long MIB = 1L << 20;
    private static final int FLUSH = 0;

    /** Syncs that have begun, and those that may end. */
    private final Semaphore begun = new Semaphore(0);

    private final Semaphore mayEnd = new Semaphore(0);
    private final AtomicInteger result = new AtomicInteger();
    private final List<VirtioDriver> guests = new ArrayList<>();

    private static MemoryBacking.File file(Sharing sharing) {
        return new MemoryBacking.File(Path.of("/nowhere"), 0, 4 * MIB, sharing);
    }

    private PmemDevice device(Sharing sharing) {
        return new PmemDevice("pmem0", file(sharing), file -> {
            begun.release();
            mayEnd.acquireUninterruptibly();
            return result.get();
        });
    }

    private VirtioDriver start(PmemDevice device, RingFormat format) {
        VirtioDriver guest = Guests.start(device, format);
        guests.add(guest);
        return guest;
    }

    @AfterEach
    @AfterTry
    void close() {
        mayEnd.release(1 << 20);
        guests.forEach(VirtioDriver::close);
        guests.clear();
    }

    private static Buffer type(VirtioDriver guest, int type) {
        return guest.buffers().readable((byte) type, (byte) 0, (byte) 0, (byte) 0);
    }

    @Test
    void tellsTheDriverWhereTheMemoryIs() {
        VirtioDriver guest = start(device(Sharing.SHARED), RingFormat.SPLIT);
        assertThat(guest.config(0, 8)).isEqualTo(1L << 38);
        assertThat(guest.config(8, 8)).isEqualTo(4 * MIB);
        assertThat(guest.memory().contains(1L << 38, 4 * MIB)).isTrue();
        guest.setConfig(0, 8, 0);
        assertThat(guest.config(0, 8)).isEqualTo(1L << 38);
    }

    @Test
    void refusesSizesThatLinuxDoesNotTake() {
        var odd = new MemoryBacking.File(Path.of("/nowhere"), 0, 3 * MIB, Sharing.SHARED);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new PmemDevice("pmem0", odd))
                .withMessage("persistent memory pmem0 of 3145728 bytes must be a multiple of 2097152 bytes;"
                        + " extend the file or map less of it");
    }

    /** virtio 1.2, 5.19.6: "The device MUST [...] ensure that all writes completed before the flush request persist on the device before returning success." */
    @ParameterizedTest
    @EnumSource
    void answersAFlushWhenTheFileIsDurable(RingFormat format) throws Exception {
        VirtioDriver guest = start(device(Sharing.SHARED), format);
        Buffer answer = guest.buffers().writable(4);
        guest.memory().writeInt(answer.address(), -1);
        int head = guest.queue(0).add(type(guest, FLUSH), answer);
        guest.kick(0);
        begun.acquire();
        guest.run();
        assertThat(guest.queue(0).takeUsed()).isEmpty();
        mayEnd.release();
        assertThat(guest.await(0, head)).isEqualTo(new Used(head, 4));
        assertThat(guest.memory().readInt(answer.address())).isZero();
        assertThat(guest.interrupts()).isEqualTo(1);
    }

    @Test
    void tellsTheGuestWhenTheFileIsNotDurable() {
        result.set(-Errno.EIO);
        mayEnd.release();
        PmemDevice device = device(Sharing.SHARED);
        VirtioDriver guest = start(device, RingFormat.SPLIT);
        Buffer answer = guest.buffers().writable(4);
        guest.request(0, type(guest, FLUSH), answer);
        assertThat(guest.memory().readInt(answer.address())).isEqualTo(1);
        assertThat(device.counters()).containsEntry("failedFlushes", 1L);
        assertThat(guest.needsReset()).isFalse();
    }

    @Test
    void servesManyFlushesWithOneSync() throws Exception {
        PmemDevice device = device(Sharing.SHARED);
        VirtioDriver guest = start(device, RingFormat.SPLIT);
        flush(guest);
        begun.acquire();
        for (int i = 0; i < 20; i++) {
            flush(guest);
        }
        mayEnd.release(2);
        guest.loop().runUntil(() -> {
            while (guest.queue(0).takeUsed().isPresent()) {
                // All that are back by now.
            }
            return guest.queue(0).chainsInFlight() == 0;
        });
        assertThat(device.counters()).containsEntry("flushes", 21L).containsEntry("syncs", 2L);
    }

    private static void flush(VirtioDriver guest) {
        guest.queue(0).add(type(guest, FLUSH), guest.buffers().writable(4));
        guest.kick(0);
    }

    @Test
    void hasNothingToSyncForACopy() {
        PmemDevice device = device(Sharing.COPY_ON_WRITE);
        VirtioDriver guest = start(device, RingFormat.SPLIT);
        Buffer answer = guest.buffers().writable(4);
        guest.memory().writeInt(answer.address(), -1);
        guest.request(0, type(guest, FLUSH), answer);
        assertThat(guest.memory().readInt(answer.address())).isZero();
        assertThat(device.counters()).containsEntry("syncs", 0L);
    }

    @ParameterizedTest
    @EnumSource
    void refusesWhatIsNoFlush(RingFormat format) {
        VirtioDriver guest = start(device(Sharing.SHARED), format);
        Buffer answer = guest.buffers().writable(4);
        assertThat(guest.request(0, type(guest, 1), answer).length()).isEqualTo(4);
        assertThat(guest.memory().readInt(answer.address())).isEqualTo(1);
        assertThat(guest.request(0, guest.buffers().readable((byte) 0)).length())
                .as("too short, and no room for an answer")
                .isZero();
        assertThat(guest.request(0, guest.buffers().writable(4)).length()).isEqualTo(4);
        assertThat(guest.needsReset()).isFalse();
    }

    @Test
    void forgetsFlushesWhenItIsReset() throws Exception {
        PmemDevice device = device(Sharing.SHARED);
        VirtioDriver guest = start(device, RingFormat.SPLIT);
        flush(guest);
        begun.acquire();
        flush(guest);
        guest.mmio().setRegister(0x070, 0);
        guest.start(guest.offered());
        int head = guest.queue(0).add(type(guest, FLUSH), guest.buffers().writable(4));
        guest.kick(0);
        mayEnd.release(1);
        // The new driver's flush is served by a sync that began after it.
        guest.loop().runUntil(begun::tryAcquire);
        assertThat(guest.queue(0).takeUsed()).isEmpty();
        mayEnd.release(1);
        assertThat(guest.await(0, head).id()).isEqualTo(head);
        assertThat(guest.queue(0).takeUsed()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void answersWhatIsUnderWayBeforeItIsSaved(RingFormat format) throws Exception {
        PmemDevice device = device(Sharing.SHARED);
        VirtioDriver guest = start(device, format);
        int first = guest.queue(0).add(type(guest, FLUSH), guest.buffers().writable(4));
        guest.kick(0);
        begun.acquire();
        int second = guest.queue(0).add(type(guest, FLUSH), guest.buffers().writable(4));
        guest.kick(0);
        mayEnd.release(2);
        DeviceState state = guest.save();
        assertThat(device.counters()).containsEntry("syncs", 2L);
        assertThat(guest.await(0, first).length()).isEqualTo(4);
        assertThat(guest.await(0, second).length()).isEqualTo(4);

        VirtioDriver restored = Guests.restoreInto(guest, device(Sharing.SHARED), state);
        guests.add(restored);
        mayEnd.release(1);
        Buffer answer = restored.buffers().writable(4);
        assertThat(restored.request(0, type(restored, FLUSH), answer).length()).isEqualTo(4);
    }

    @Test
    void goesOnAfterASave() {
        VirtioDriver guest = start(device(Sharing.SHARED), RingFormat.SPLIT);
        for (int i = 0; i < 3; i++) {
            mayEnd.release(1);
            guest.request(0, type(guest, FLUSH), guest.buffers().writable(4));
            guest.save();
        }
    }

    @Test
    void refusesAStateOfOtherMemory() {
        VirtioDriver guest = start(device(Sharing.SHARED), RingFormat.SPLIT);
        DeviceState state = guest.save();
        state.putNumber("start", 0);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> guests.add(Guests.restoreInto(guest, device(Sharing.SHARED), state)))
                .withMessageContaining("build the machine as the saved one was");
    }

    @Property(tries = 200)
    void survivesAnyDriver(@ForAll RingFormat format, @ForAll long seed) {
        mayEnd.release(1 << 20);
        Random random = new Random(seed);
        VirtioDriver guest = start(device(Sharing.SHARED), format);
        for (int step = 0; step < 60 && !guest.needsReset(); step++) {
            if (guest.queue(0).freeDescriptors() < 8) {
                guest.loop().runUntil(() -> {
                    while (guest.queue(0).takeUsed().isPresent()) {
                        // All that are back by now.
                    }
                    return guest.queue(0).chainsInFlight() == 0;
                });
            }
            Buffer[] chain = new Buffer[1 + random.nextInt(5)];
            int readable = random.nextInt(chain.length + 1);
            for (int i = 0; i < chain.length; i++) {
                long address = random.nextInt(60) == 0
                        ? random.nextLong()
                        : VirtioDriver.BUFFERS + random.nextLong(VirtioDriver.MEMORY_BYTES - VirtioDriver.BUFFERS);
                int length = random.nextInt(9);
                chain[i] = i < readable ? Buffer.readable(address, length) : Buffer.writable(address, length);
            }
            guest.queue(0).add(chain);
            guest.kick(0);
            if (random.nextInt(20) == 0) {
                guest.save();
            }
        }
        guest.mmio().setRegister(0x070, 0);
        guest.start(guest.offered());
        assertThat(guest.request(0, type(guest, FLUSH), guest.buffers().writable(4))
                        .length())
                .isEqualTo(4);
    }
}
