package io.github.jkvm.sandbox.process;

import java.io.IOException;
import java.io.PrintStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;

/** The program that a {@link ChildJvm} runs. It ends when its standard input does, which is when the JVM that started it is gone. */
public final class ChildMain {
    /** What it says once connections are taken. */
    static final int READY = 'R';

    private ChildMain() {}

    /**
     * Runs a service.
     *
     * @param arguments the name of the service's class, and the path of the socket to listen on
     * @throws IOException if the socket can't be made
     * @throws ReflectiveOperationException if there is no such service
     */
    public static void main(String[] arguments) throws IOException, ReflectiveOperationException {
        PrintStream parent = System.out;
        // What libraries print must not be taken for a message.
        System.setOut(System.err);
        Thread.ofPlatform().name("parent").daemon().start(ChildMain::awaitEnd);
        var service = Class.forName(arguments[0])
                .asSubclass(ChildService.class)
                .getDeclaredConstructor()
                .newInstance();
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(Path.of(arguments[1])));
            parent.write(READY);
            parent.flush();
            while (true) {
                SocketChannel connection = server.accept();
                Thread.ofPlatform().name("connection").daemon().start(() -> serve(service, connection));
            }
        }
    }

    private static void serve(ChildService service, SocketChannel connection) {
        try (connection) {
            service.serve(connection);
        } catch (IOException e) {
            System.err.println("a connection broke: " + e);
        }
    }

    private static void awaitEnd() {
        try {
            while (System.in.read() >= 0) {
                // nothing is said there
            }
        } catch (IOException e) {
            System.err.println("the standard input broke: " + e);
        }
        Runtime.getRuntime().halt(0);
    }
}
