package io.github.jkvm.it;

import static io.github.jkvm.testkit.asm.Mem.bytePtr;
import static io.github.jkvm.testkit.asm.Mem.mem;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.Vm;
import io.github.jkvm.VmExit;
import io.github.jkvm.kvm.KvmException;
import io.github.jkvm.machine.boot.EntryMode;
import io.github.jkvm.testkit.MicroGuest;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.testkit.asm.Label;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@RequiresKvm
class MemoryBackingTest {
    private static final GuestAddress PLACE = GuestAddress.of(0x2_0000);
    private static final Duration LONG = Duration.ofSeconds(60);

    /** A guest that counts up a byte of memory at {@link #PLACE}, where it has none of its own, and halts; again and again. */
    private static MicroGuest increments() {
        return MicroGuest.builder()
                .mode(EntryMode.PROTECTED32)
                .memory(PLACE.value())
                .build(code -> {
                    Label start = code.here("start");
                    code.inc(bytePtr(mem(PLACE.value() + 4))).hlt().jmp(start);
                });
    }

    private static VmExit run(MicroGuest guest) {
        return guest.vcpu().run(LONG);
    }

    @TempDir
    Path folder;

    private Path file(int pages) throws IOException {
        byte[] contents = new byte[pages * 4096];
        Arrays.fill(contents, (byte) 0x30);
        return Files.write(folder.resolve("memory"), contents);
    }

    private static void incrementOnce(MicroGuest guest) {
        assertThat(run(guest)).isEqualTo(new VmExit.Halt());
    }

    @Test
    void guestAndHostShareAnonymousMemory() {
        try (MicroGuest guest = increments()) {
            guest.vm().addMemory(PLACE, MemoryBacking.anonymous(4096));
            guest.memory().writeByte(PLACE.value() + 4, (byte) 0x41);
            incrementOnce(guest);
            assertThat(guest.memory().readByte(PLACE.value() + 4)).isEqualTo((byte) 0x42);
        }
    }

    @Test
    void guestWritesToAMemfd() {
        try (MicroGuest guest = increments()) {
            guest.vm().addMemory(PLACE, MemoryBacking.memfd(8192, "guest memory"));
            incrementOnce(guest);
            assertThat(guest.memory().readByte(PLACE.value() + 4)).isEqualTo((byte) 1);
        }
    }

    @Test
    void guestWritesGoToASharedFile() throws IOException {
        Path file = file(2);
        try (MicroGuest guest = increments()) {
            guest.vm().addMemory(PLACE, MemoryBacking.sharedFile(file, 4096, 4096));
            incrementOnce(guest);
        }
        assertThat(Files.readAllBytes(file)[4096 + 4]).isEqualTo((byte) 0x31);
        assertThat(Files.readAllBytes(file)[4]).isEqualTo((byte) 0x30);
    }

    @Test
    void guestWritesLeaveACopyOnWriteFileAsItIs() throws IOException {
        Path file = file(1);
        assertThat(file.toFile().setReadOnly()).isTrue();
        try (MicroGuest guest = increments()) {
            guest.vm().addMemory(PLACE, MemoryBacking.copyOnWriteFile(file, 0, 4096));
            incrementOnce(guest);
            assertThat(guest.memory().readByte(PLACE.value() + 4)).isEqualTo((byte) 0x31);
        }
        assertThat(Files.readAllBytes(file)).containsOnly(0x30);
    }

    @Test
    void filesThatDoNotReachFarEnoughAreRefused() throws IOException {
        Path file = file(1);
        try (Hypervisor hypervisor = Hypervisor.open();
                Vm vm = hypervisor.createVm()) {
            assertThatThrownBy(() -> vm.addMemory(PLACE, MemoryBacking.copyOnWriteFile(file, 0, 8192)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("passes the end of the file, which has 4096 bytes");
            assertThatThrownBy(() -> vm.addMemory(PLACE, MemoryBacking.sharedFile(file, 4096, 4096)))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> vm.addMemory(PLACE, MemoryBacking.sharedFile(file, 100, 4096)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("memory file offset 100 must be a multiple of the page size 4096");
            assertThatThrownBy(() -> vm.addMemory(PLACE, MemoryBacking.sharedFile(folder.resolve("nothing"), 0, 4096)))
                    .isInstanceOf(HypervisorException.class)
                    .hasMessageContaining("nothing")
                    .hasMessageContaining("ENOENT (2)");
        }
    }

    @Test
    void readOnlyMemoryTurnsGuestWritesIntoExits() {
        try (MicroGuest guest = increments()) {
            guest.vm().addMemory(PLACE, MemoryBacking.anonymous(4096), MemoryRegion.Access.READ_ONLY);
            guest.memory().writeByte(PLACE.value() + 4, (byte) 0x41);
            assertThat(run(guest)).isInstanceOfSatisfying(VmExit.MmioWrite.class, write -> {
                assertThat(write.address()).isEqualTo(PLACE.plus(4));
                assertThat(write.data().toLong()).isEqualTo(0x42);
            });
            assertThat(run(guest)).isEqualTo(new VmExit.Halt());
            assertThat(guest.memory().readByte(PLACE.value() + 4)).isEqualTo((byte) 0x41);
        }
    }

    @Test
    void hugePagesWorkOrTellWhatIsMissing() {
        long size = 2L << 20;
        try (Hypervisor hypervisor = Hypervisor.open();
                Vm vm = hypervisor.createVm()) {
            MemoryRegion region;
            try {
                region = vm.addMemory(GuestAddress.ZERO, MemoryBacking.hugePages(size, size));
            } catch (HypervisorException missing) {
                assertThat(missing.getMessage())
                        .containsAnyOf(
                                "sudo tee /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
                                "the host has no huge pages of 2097152 bytes");
                return;
            }
            vm.memory().writeByte(size - 1, (byte) 1);
            assertThat(region.size()).isEqualTo(size);
        }
    }

    @Test
    void memoryComesAndGoesWhileTheGuestLives() {
        try (MicroGuest guest = increments()) {
            for (int i = 0; i < 50; i++) {
                MemoryRegion region = guest.vm().addMemory(PLACE, MemoryBacking.anonymous(4096));
                incrementOnce(guest);
                assertThat(guest.memory().readByte(PLACE.value() + 4)).isEqualTo((byte) 1);
                guest.vm().removeMemory(region);
                assertThatThrownBy(() -> region.segment().fill((byte) 0)).isInstanceOf(IllegalStateException.class);
                assertThat(run(guest)).isInstanceOf(VmExit.MmioRead.class);
                guest.vcpu().respond(0x10);
                assertThat(run(guest))
                        .isInstanceOfSatisfying(
                                VmExit.MmioWrite.class,
                                write -> assertThat(write.data().toLong()).isEqualTo(0x11));
                assertThat(run(guest)).isEqualTo(new VmExit.Halt());
            }
        }
    }

    @Test
    void removalWaitsForACallThatUsesTheMemory() throws Exception {
        try (Hypervisor hypervisor = Hypervisor.open();
                Vm vm = hypervisor.createVm()) {
            MemoryRegion region = vm.addMemory(PLACE, MemoryBacking.anonymous(4096));
            Pipe pipe = Pipe.open();
            CountDownLatch reading = new CountDownLatch(1);
            FutureTask<Integer> read = new FutureTask<>(() -> {
                ByteBuffer buffer = region.segment().asByteBuffer();
                reading.countDown();
                return pipe.source().read(buffer);
            });
            Thread reader = Thread.ofPlatform().start(read);
            reading.await();
            FutureTask<?> removal = new FutureTask<>(() -> vm.removeMemory(region), null);
            Thread remover = Thread.ofPlatform().start(removal);
            while (!vm.memory().regions().isEmpty()) {
                LockSupport.parkNanos(1000);
            }
            pipe.sink().write(ByteBuffer.wrap(new byte[100]));
            reader.join();
            remover.join();
            removal.get();
            // The reader may have come too late to begin; if it began, it was let to end.
            try {
                assertThat(read.get()).isEqualTo(100);
            } catch (ExecutionException tooLate) {
                assertThat(tooLate).hasCauseInstanceOf(IllegalStateException.class);
            }
            pipe.sink().close();
            pipe.source().close();
        }
    }

    @Test
    void moreMemoryThanTheHostCanMapIsRefusedWithItsSize() {
        try (Hypervisor hypervisor = Hypervisor.open();
                Vm vm = hypervisor.createVm()) {
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(1L << 50)))
                    .isInstanceOf(KvmException.class)
                    .hasMessageContaining("mmap")
                    .hasMessageContaining("1125899906842624")
                    .hasMessageContaining("ENOMEM (12)")
                    .hasMessageContaining("ulimit -v");
            assertThatThrownBy(() -> vm.addMemory(GuestAddress.ZERO, MemoryBacking.anonymous(1L << 44)))
                    .isInstanceOf(KvmException.class)
                    .hasMessageContaining("KVM_SET_USER_MEMORY_REGION")
                    .hasMessageContaining("2^31-1 pages");
            assertThat(vm.memory().regions()).isEmpty();
        }
    }

    @Test
    void aVmTakesAsManyRegionsAsItSays() {
        try (Hypervisor hypervisor = Hypervisor.open();
                Vm vm = hypervisor.createVm()) {
            int regions = Math.min(hypervisor.maxMemoryRegions(), 300);
            for (int i = 0; i < regions; i++) {
                vm.addMemory(GuestAddress.of(i * 0x2000L), MemoryBacking.anonymous(4096));
            }
            assertThat(vm.memory().regions()).hasSize(regions);
        }
    }

    @Test
    void dirtyPagesAreThoseOfTheGuestAndThoseOfTheHost() {
        try (MicroGuest guest = increments()) {
            MemoryRegion region = guest.vm().addMemory(PLACE, MemoryBacking.anonymous(70 * 4096));
            assertThatThrownBy(() -> guest.vm().takeDirtyPages(region))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("dirty tracking is off");
            incrementOnce(guest);
            guest.vm().startDirtyTracking(region);
            assertThat(guest.vm().takeDirtyPages(region).isEmpty()).isTrue();
            for (int round = 0; round < 3; round++) {
                guest.memory().writeByte(PLACE.value() + 69 * 4096, (byte) round);
                incrementOnce(guest);
                assertThat(guest.vm().takeDirtyPages(region).offsets()).containsExactly(0L, 69L * 4096);
                assertThat(guest.vm().takeDirtyPages(region).isEmpty()).isTrue();
            }
            guest.vm().stopDirtyTracking(region);
            guest.vm().stopDirtyTracking(region);
            assertThatThrownBy(() -> guest.vm().takeDirtyPages(region)).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void memoryThatTheHostLostEndsTheRunAndNotTheJvm() throws IOException {
        Path file = file(1);
        try (MicroGuest guest = increments()) {
            guest.vm().addMemory(PLACE, MemoryBacking.sharedFile(file, 0, 4096));
            Files.write(file, new byte[0]);
            VmExit exit;
            try {
                exit = run(guest);
            } catch (HypervisorException fault) {
                assertThat(fault).hasMessageContaining("KVM_RUN").hasMessageContaining("EFAULT (14)");
                return;
            }
            // A KVM that emulates the access takes what it can't read for MMIO.
            assumeFalse(exit instanceof VmExit.MmioRead, "this KVM takes memory that is gone for MMIO");
            assertThat(exit)
                    .isInstanceOfSatisfying(
                            VmExit.MemoryFault.class,
                            fault -> assertThat(fault.address()).isEqualTo(PLACE));
        }
    }
}
