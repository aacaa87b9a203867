package io.github.jkvm.it;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.Capability;
import io.github.jkvm.EventLoop;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.VmBus;
import io.github.jkvm.testkit.RequiresKvm;
import io.github.jkvm.virtio.VirtioMmio;
import io.github.jkvm.virtio.vhost.VhostUserFs;
import io.github.jkvm.x86.X86Vm;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A driver waits for a slow back end; other devices do not. */
@RequiresKvm({Capability.IRQCHIP, Capability.IRQFD, Capability.IOEVENTFD})
class VhostUserLoopTest {
    private static final long REGISTERS = 0xD000_0000L;
    private static final int STATUS = 0x70;
    private static final int GET_FEATURES = 1;
    private static final int GET_RING_BASE = 11;

    @TempDir
    Path folder;

    private final CountDownLatch asked = new CountDownLatch(1);
    private final CountDownLatch released = new CountDownLatch(1);

    /** A back end of the first protocol, which is in no hurry to give a ring back. */
    private void serve(ServerSocketChannel server) {
        try (SocketChannel channel = server.accept()) {
            while (true) {
                ByteBuffer header = read(channel, 12);
                int request = header.getInt();
                header.getInt();
                read(channel, header.getInt());
                if (request == GET_FEATURES) {
                    ByteBuffer answer = ByteBuffer.allocate(20).order(ByteOrder.nativeOrder());
                    answer.putInt(request).putInt(5).putInt(8).putLong(1L << 32).flip();
                    channel.write(answer);
                } else if (request == GET_RING_BASE) {
                    asked.countDown();
                    released.await();
                    return;
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static ByteBuffer read(SocketChannel channel, int length) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
        while (bytes.hasRemaining()) {
            if (channel.read(bytes) < 0) {
                throw new IOException("the front end is gone");
            }
        }
        return bytes.flip();
    }

    private static void set(VmBus bus, int register, long value) {
        bus.mmioWrite(REGISTERS + register, 4, value);
    }

    @Test
    @Timeout(60)
    void othersDoNotWaitWithADriverForTheBackEnd() throws Exception {
        Path socket = folder.resolve("socket");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
                Hypervisor hypervisor = Hypervisor.open()) {
            server.bind(UnixDomainSocketAddress.of(socket));
            Thread.ofPlatform().daemon().start(() -> serve(server));
            X86Vm vm = X86Vm.of(hypervisor.createVm());
            vm.createIrqChip();
            vm.addMemory(GuestAddress.ZERO, MemoryBacking.memfd(1 << 20, "test"));
            EventLoop loop = vm.createEventLoop("devices");
            var bus = new VmBus(vm, loop);
            var transport = VirtioMmio.at(new VhostUserFs("fs0", socket, "share"), GuestAddress.of(REGISTERS), 5);
            transport.attach(bus);
            start(bus);
            assertThat(bus.mmioRead(REGISTERS + STATUS, 4)).isEqualTo(15);

            Thread driver = Thread.ofPlatform().start(() -> set(bus, STATUS, 0));
            asked.await();
            var other = new CompletableFuture<Boolean>();
            loop.execute(() -> other.complete(driver.isAlive()));
            assertThat(other.get(3, SECONDS)).as("the driver waits meanwhile").isTrue();
            released.countDown();
            driver.join();
            assertThat(bus.mmioRead(REGISTERS + STATUS, 4)).isZero();
            transport.close();
        }
    }

    /** What a driver does, with the first queue at 4096. */
    private static void start(VmBus bus) {
        set(bus, STATUS, 1);
        set(bus, STATUS, 3);
        set(bus, 0x024, 1);
        set(bus, 0x020, 1);
        set(bus, STATUS, 11);
        set(bus, 0x030, 0);
        set(bus, 0x038, 16);
        set(bus, 0x080, 0x1000);
        set(bus, 0x090, 0x2000);
        set(bus, 0x0A0, 0x3000);
        set(bus, 0x044, 1);
        set(bus, STATUS, 15);
    }
}
