package io.github.jkvm.sandbox.process;

import java.io.IOException;
import java.nio.channels.SocketChannel;

/** What a {@link ChildJvm} runs. */
public interface ChildService {
    /**
     * Serves a connection, on a thread of its own, until its other end closes it.
     *
     * @param connection the connection, closed by the caller
     * @throws IOException if it breaks
     */
    void serve(SocketChannel connection) throws IOException;
}
