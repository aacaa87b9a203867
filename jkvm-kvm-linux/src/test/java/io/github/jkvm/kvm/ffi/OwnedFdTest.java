package io.github.jkvm.kvm.ffi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.jkvm.kvm.KvmException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class OwnedFdTest {
    private static final Ioctl NO_REQUEST = Ioctl.io("NO_REQUEST", 0xFF);

    private static OwnedFd open(String path) {
        try (Arena arena = Arena.ofConfined()) {
            int fd = Libc.open(arena.allocateFrom(path), Libc.O_RDWR | Libc.O_CLOEXEC, 0);
            assertThat(fd).isNotNegative();
            return new OwnedFd(fd, path);
        }
    }

    @Test
    void readsAndWrites() {
        try (OwnedFd zero = open("/dev/zero");
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(16).fill((byte) 1);
            assertThat(zero.tryWrite(buffer)).isEqualTo(16);
            assertThat(zero.tryRead(buffer)).isEqualTo(16);
            assertThat(buffer.get(ValueLayout.JAVA_LONG, 8)).isZero();
        }
    }

    @Test
    void namesTheFailedRequest() {
        try (OwnedFd zero = open("/dev/zero")) {
            assertThat(zero.tryIoctl(NO_REQUEST, 1)).isEqualTo(-Errno.ENOTTY);
            assertThatThrownBy(() -> zero.ioctl(NO_REQUEST, 0x123))
                    .isInstanceOf(KvmException.class)
                    .hasMessageStartingWith("NO_REQUEST (/dev/zero, 0x123) failed with ENOTTY (25): ");
            assertThatThrownBy(() -> zero.ioctl(NO_REQUEST, MemorySegment.NULL))
                    .isInstanceOf(KvmException.class)
                    .hasMessageContaining("ENOTTY");
        }
    }

    @Test
    void refusesUseAfterCloseAndClosesTheNumberOnce() {
        OwnedFd zero = open("/dev/zero");
        int number = zero.acquire();
        zero.release();
        Path link = Path.of("/proc/self/fd/" + number);
        assertThat(Files.exists(link)).isTrue();
        zero.close();
        assertThat(zero.isClosed()).isTrue();
        assertThat(Files.exists(link)).isFalse();
        assertThatThrownBy(zero::acquire)
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("/dev/zero is closed");
        assertThatThrownBy(() -> zero.tryIoctl(NO_REQUEST, 0)).isInstanceOf(IllegalStateException.class);
        // The number goes to the next file, which a second close must leave open.
        try (OwnedFd next = open("/dev/null")) {
            zero.close();
            assertThat(next.tryIoctl(NO_REQUEST, 0)).isEqualTo(-Errno.ENOTTY);
        }
    }

    @Test
    void closeWaitsForUsesUnderWay() throws InterruptedException {
        OwnedFd zero = open("/dev/zero");
        zero.acquire();
        AtomicBoolean closed = new AtomicBoolean();
        CountDownLatch begun = new CountDownLatch(1);
        Thread closer = Thread.ofPlatform().start(() -> {
            begun.countDown();
            zero.close();
            closed.set(true);
        });
        begun.await();
        while (!zero.isClosed()) {
            Thread.onSpinWait();
        }
        assertThatThrownBy(zero::acquire).isInstanceOf(IllegalStateException.class);
        assertThat(closed).isFalse();
        zero.release();
        closer.join();
        assertThat(closed).isTrue();
    }

    @Test
    void closeIsNotCutShortByAnInterruptOfItsThread() throws InterruptedException {
        OwnedFd zero = open("/dev/zero");
        zero.acquire();
        AtomicBoolean interrupted = new AtomicBoolean();
        Thread closer = Thread.ofPlatform().start(() -> {
            zero.close();
            interrupted.set(Thread.interrupted());
        });
        closer.interrupt();
        while (!zero.isClosed()) {
            Thread.onSpinWait();
        }
        zero.release();
        closer.join();
        assertThat(interrupted).isTrue();
    }
}
