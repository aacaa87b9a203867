package io.github.jkvm.virtio.balloon;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.HostPages;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.testkit.virtio.Buffer;
import io.github.jkvm.testkit.virtio.Used;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.queue.RingFormat;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class BalloonDeviceTest {
    private static final long PAGE = 4096;
    private static final int INFLATE = 0;
    private static final int DEFLATE = 1;

    /** A part of the guest's memory that nothing else is in. */
    private static final int FIRST_PAGE = 3000;

    private final BalloonDevice device = new BalloonDevice("balloon0");

    private static Buffer pages(VirtioDriver guest, int... numbers) {
        ByteBuffer bytes = ByteBuffer.allocate(numbers.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(numbers);
        return guest.buffers().readable(bytes.array());
    }

    private static void fill(VirtioDriver guest, int count) {
        guest.memory().fill(FIRST_PAGE * PAGE, count * PAGE, (byte) 7);
    }

    private static boolean isZero(VirtioDriver guest, int page) {
        byte[] bytes = guest.memory().read(page * PAGE, (int) PAGE);
        return MemorySegment.ofArray(bytes).mismatch(MemorySegment.ofArray(new byte[(int) PAGE])) == -1;
    }

    private long counted(String what) {
        return device.counters().get(what);
    }

    @Test
    void tellsTheDriverHowMuchMemoryItWants() {
        device.setTarget(3 << 20);
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        assertThat(guest.config(0, 4)).isEqualTo(768);
        int before = guest.interrupts();
        device.setTarget(5 << 20);
        assertThat(guest.interrupts()).isEqualTo(before + 1);
        assertThat(guest.config(0, 4)).isEqualTo(1280);
        assertThat(device.target()).isEqualTo(5 << 20);
        assertThat(device.actual()).isZero();
    }

    @Test
    void refusesTargetsThatCanNotBeTold() {
        assertThatIllegalArgumentException().isThrownBy(() -> device.setTarget(-PAGE));
        assertThatIllegalArgumentException().isThrownBy(() -> device.setTarget(PAGE + 1));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> device.setTarget(1L << 44))
                .withMessage(
                        "balloon target 17592186044416 must be a multiple of 4096 bytes, from 0 to 17592186040320");
        device.setTarget((1L << 44) - PAGE);
        assertThat(device.target()).isEqualTo((1L << 44) - PAGE);
    }

    /** virtio 1.2, 5.5.6: "the device acknowledges inflate and deflate requests by using the descriptor". */
    @ParameterizedTest
    @EnumSource
    void givesPagesOfTheBalloonBackToTheHost(RingFormat format) {
        VirtioDriver guest = Guests.start(device, format);
        fill(guest, 8);
        Used used = guest.request(INFLATE, pages(guest, 3004, 3002, 3001, 3003, 3006));
        assertThat(used.length()).isZero();
        assertThat(guest.interrupts()).isEqualTo(1);
        assertThat(isZero(guest, 3000)).isFalse();
        for (int page : new int[] {3001, 3002, 3003, 3004, 3006}) {
            assertThat(isZero(guest, page)).isTrue();
        }
        assertThat(isZero(guest, 3005)).isFalse();
        assertThat(isZero(guest, 3007)).isFalse();
        assertThat(counted("pagesInflated")).isEqualTo(5);
        assertThat(counted("discards"))
                .as("calls, for runs of pages in any order")
                .isEqualTo(2);
        assertThat(counted("bytesDiscarded")).isEqualTo(5 * PAGE);

        guest.request(DEFLATE, pages(guest, 3001, 3002));
        assertThat(counted("pagesDeflated")).isEqualTo(2);
        assertThat(guest.needsReset()).isFalse();
    }

    @Test
    void leavesPagesThatAreNotMemoryOfTheGuestAlone() {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        var rom = MemoryRegion.of(
                GuestAddress.of(VirtioDriver.MEMORY_BYTES),
                MemorySegment.ofArray(new long[1024]),
                MemoryRegion.Access.READ_ONLY);
        rom.segment().fill((byte) 1);
        guest.memory().add(rom);
        fill(guest, 1);
        int romPage = (int) (VirtioDriver.MEMORY_BYTES / PAGE);
        guest.request(INFLATE, pages(guest, 0xFFFF_FFFF, romPage, romPage + 1, romPage + 2, FIRST_PAGE));
        assertThat(isZero(guest, FIRST_PAGE)).isTrue();
        assertThat(rom.segment().get(JAVA_BYTE, 0)).isEqualTo((byte) 1);
        assertThat(counted("pagesRejected")).isEqualTo(4);
        assertThat(counted("bytesDiscarded")).isEqualTo(PAGE);
    }

    @Test
    void looksAtABoundedNumberOfPagesOfOneChain() {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        // The same 64 KiB again and again: 2^18 numbers of page 0xFFFFFFFF in 16 buffers.
        Buffer numbers = guest.buffers().readable(new byte[1 << 16]);
        guest.memory().fill(numbers.address(), numbers.length(), (byte) -1);
        Buffer[] chain = new Buffer[16];
        Arrays.fill(chain, numbers);
        guest.request(INFLATE, chain);
        assertThat(counted("pagesInflated")).isEqualTo(16_384);
        // What was looked at is one page each time 1024 numbers are sorted.
        assertThat(counted("pagesRejected")).isEqualTo((1 << 18) - 16_384 + 16);
    }

    @Test
    void waitsUntilTheBalloonIsAsLargeAsWanted() throws Exception {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        device.setTarget(1 << 20);
        assertThat(device.awaitTarget(Duration.ofMillis(1))).isFalse();
        var waiting = CompletableFuture.supplyAsync(() -> awaitTarget(Duration.ofSeconds(20)));
        guest.setConfig(4, 4, 100);
        assertThat(device.actual()).isEqualTo(100 * PAGE);
        assertThat(waiting).isNotDone();
        guest.setConfig(4, 4, 256);
        assertThat(waiting.get()).isTrue();
        assertThat(device.awaitTarget(Duration.ZERO)).isTrue();
    }

    private boolean awaitTarget(Duration timeout) {
        try {
            return device.awaitTarget(timeout);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void isEmptyAgainAfterAReset() {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        device.setTarget(1 << 20);
        guest.setConfig(4, 4, 256);
        guest.mmio().setRegister(0x070, 0);
        assertThat(device.actual()).isZero();
        assertThat(device.target()).as("what the host wants stays").isEqualTo(1 << 20);
    }

    @Test
    void keepsTheDriverFromWritingItsTarget() {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        device.setTarget(1 << 20);
        guest.setConfig(0, 4, 0);
        guest.setConfig(8, 4, 77);
        assertThat(device.target()).isEqualTo(1 << 20);
        assertThat(guest.config(8, 4)).isZero();
    }

    @Test
    void goesOnAfterARestore() {
        VirtioDriver guest = Guests.start(device, RingFormat.PACKED);
        device.setTarget(1 << 20);
        guest.setConfig(4, 4, 200);
        var other = new BalloonDevice("balloon0");
        VirtioDriver restored = Guests.restoreInto(guest, other, guest.save());
        assertThat(other.target()).isEqualTo(1 << 20);
        assertThat(other.actual()).isEqualTo(200 * PAGE);
        fill(restored, 1);
        restored.request(INFLATE, pages(restored, FIRST_PAGE));
        assertThat(isZero(restored, FIRST_PAGE)).isTrue();
    }

    /* Free page reporting: virtio 1.2, 5.5.6.7. */

    private static Buffer memory(int page, int count) {
        return Buffer.writable(page * PAGE, count * PAGE);
    }

    private static long mask(Set<BalloonFeature> features) {
        return features.stream().mapToLong(BalloonFeature::mask).sum();
    }

    /** The number that the specification gives to the queue, and the ones that Linux uses if features before are not agreed on. */
    @ParameterizedTest
    @EnumSource
    void givesReportedPagesBackToTheHost(RingFormat format) {
        VirtioDriver guest = Guests.start(device, format, mask(EnumSet.of(BalloonFeature.REPORTING)));
        for (int queue = 2; queue < 5; queue++) {
            fill(guest, 8);
            assertThat(guest.request(queue, memory(3001, 2), memory(3004, 1)).length())
                    .isZero();
            assertThat(isZero(guest, 3000)).isFalse();
            assertThat(isZero(guest, 3001)).isTrue();
            assertThat(isZero(guest, 3002)).isTrue();
            assertThat(isZero(guest, 3003)).isFalse();
            assertThat(isZero(guest, 3004)).isTrue();
        }
        assertThat(counted("bytesReported")).isEqualTo(9 * PAGE);
        assertThat(counted("bytesDiscarded")).isEqualTo(9 * PAGE);
    }

    @Test
    void takesReportsBehindTheStatistics() {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        fill(guest, 1);
        guest.request(3, memory(FIRST_PAGE, 1));
        assertThat(isZero(guest, FIRST_PAGE)).isTrue();
    }

    /** "If the VIRTIO_BALLOON_F_PAGE_POISON feature has been negotiated, the device MUST NOT modify the content of a reported page to a value other than poison_val." */
    @Test
    void leavesReportedPagesThatAreFilledWithSomething() {
        VirtioDriver guest = Guests.start(device, RingFormat.SPLIT);
        guest.setConfig(12, 4, 0x0707_0707);
        fill(guest, 1);
        guest.request(3, memory(FIRST_PAGE, 1));
        assertThat(isZero(guest, FIRST_PAGE)).isFalse();
        guest.setConfig(12, 4, 0);
        guest.request(3, memory(FIRST_PAGE, 1));
        assertThat(isZero(guest, FIRST_PAGE)).isTrue();
    }

    @Test
    void leavesPagesThatWouldNotBeZerosToGuestsThatRelyOnIt() {
        var reading = EnumSet.of(BalloonFeature.REPORTING);
        assertThat(discardsOfFileMemory(mask(reading))).isEqualTo(1);
        reading.add(BalloonFeature.PAGE_POISON);
        assertThat(discardsOfFileMemory(mask(reading))).isZero();
    }

    /** Reports a page of memory that shows a file's contents when it is discarded. */
    private static long discardsOfFileMemory(long features) {
        var balloon = new BalloonDevice("balloon0");
        VirtioDriver guest = Guests.start(balloon, RingFormat.SPLIT, features);
        var segment = MemorySegment.ofArray(new long[512]);
        var file = new HostPages() {
            @Override
            public long discard(long offset, long length) {
                segment.asSlice(offset, length).fill((byte) 3);
                return length;
            }

            @Override
            public Remains remains() {
                return Remains.FILE_CONTENTS;
            }

            @Override
            public Optional<SharedFile> sharedFile() {
                return Optional.empty();
            }
        };
        GuestAddress base = GuestAddress.of(VirtioDriver.MEMORY_BYTES);
        guest.memory().add(MemoryRegion.of(base, segment, MemoryRegion.Access.READ_WRITE, file));
        guest.request(2, Buffer.writable(base.value(), PAGE));
        return balloon.counters().get("discards");
    }

    @Test
    void offersWhatItIsAskedTo() {
        var small = new BalloonDevice("balloon1", Set.of(BalloonFeature.DEFLATE_ON_OUT_OF_MEMORY));
        VirtioDriver guest = Guests.attach(small);
        assertThat(guest.offered() & 0xFF_FFFF).isEqualTo(1 << 2);
        guest.mmio().setRegister(0x030, 1);
        assertThat(guest.mmio().register(0x034)).isEqualTo(128);
        guest.mmio().setRegister(0x030, 2);
        assertThat(guest.mmio().register(0x034)).as("no third queue").isZero();
        assertThat(Guests.attach(device).offered() & 0xFF_FFFF).isEqualTo(0b110111);
    }

    @Test
    void refusesToWaitOnTheLoop() {
        Guests.start(device, RingFormat.SPLIT);
        assertThatIllegalStateException().isThrownBy(() -> device.statistics(Duration.ofSeconds(1)));
    }
}
