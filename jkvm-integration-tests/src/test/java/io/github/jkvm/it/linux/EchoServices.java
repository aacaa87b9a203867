package io.github.jkvm.it.linux;

import io.github.jkvm.virtio.console.ConsolePort;
import io.github.jkvm.virtio.vsock.VsockListener;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.ServerSocketChannel;
import java.time.Duration;

/**
 * What a guest can talk to over the devices of a {@link DeviceFamily}: network and socket device send back what comes at port {@value #PORT},
 * the console's port 2 does so too, and its port 1 takes all it gets and sends all it can.
 */
final class EchoServices implements AutoCloseable {
    private static final int PORT = 5001;
    private static final int BYTES = 8192;
    private static final Duration EVER = Duration.ofHours(1);

    private final ServerSocketChannel server;
    private final VsockListener listener;

    /** Serves until it is closed, and the console until its device is. */
    EchoServices(DeviceFamily family) throws IOException {
        server = ServerSocketChannel.open().bind(new InetSocketAddress(DeviceFamily.HOST_ADDRESS, PORT));
        listener = family.vsock.listen(PORT);
        start(() -> acceptAll(server::accept));
        start(() -> acceptAll(() -> listener.accept(EVER)));
        ConsolePort echo = family.console.port(2);
        start(() -> {
            byte[] bytes = new byte[BYTES];
            for (int count; (count = echo.inputStream().read(bytes)) >= 0; ) {
                echo.outputStream().write(bytes, 0, count);
            }
        });
        ConsolePort load = family.console.port(1);
        start(() -> {
            while (load.inputStream().read(new byte[BYTES]) >= 0) {
                // until the device is closed
            }
        });
        start(() -> {
            while (true) {
                load.outputStream().write(new byte[BYTES]);
            }
        });
    }

    @FunctionalInterface
    private interface Code {
        void run() throws Exception;
    }

    @FunctionalInterface
    private interface Acceptor {
        ByteChannel accept() throws Exception;
    }

    /** Runs code that ends with an exception when what it waits for goes away: the device with its driver, or all with the guest. */
    private static void start(Code code) {
        Thread.ofPlatform().daemon().name("echo").start(() -> {
            try {
                code.run();
            } catch (Exception gone) {
                Thread.currentThread().setName("echo, ended by " + gone);
            }
        });
    }

    private static void acceptAll(Acceptor acceptor) throws Exception {
        while (true) {
            ByteChannel channel = acceptor.accept();
            start(() -> {
                try (channel) {
                    ByteBuffer buffer = ByteBuffer.allocate(BYTES);
                    while (channel.read(buffer.clear()) >= 0) {
                        buffer.flip();
                        while (buffer.hasRemaining()) {
                            channel.write(buffer);
                        }
                    }
                }
            });
        }
    }

    @Override
    public void close() throws IOException {
        server.close();
        listener.close();
    }
}
