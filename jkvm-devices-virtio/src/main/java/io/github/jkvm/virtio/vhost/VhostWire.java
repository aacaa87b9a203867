package io.github.jkvm.virtio.vhost;

import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.kvm.ffi.UnixSocket;
import java.io.IOException;
import java.util.List;

/** What carries messages to and from a back end: bytes in order, and open files. Used by one thread at a time. */
interface VhostWire extends AutoCloseable {
    /** Sends bytes, and files with the first of them. */
    void send(byte[] bytes, List<OwnedFd> files, long deadline) throws IOException;

    /** Fills an array, and returns the files that came with it, the caller's to close. */
    List<OwnedFd> receive(byte[] bytes, int mostFiles, long deadline) throws IOException;

    /** Whether the other side is there and has sent nothing. */
    boolean isQuiet();

    /** What is to be waited for. */
    OwnedFd fd();

    @Override
    void close();

    static VhostWire over(UnixSocket socket) {
        return new VhostWire() {
            @Override
            public void send(byte[] bytes, List<OwnedFd> files, long deadline) throws IOException {
                socket.send(bytes, files, deadline);
            }

            @Override
            public List<OwnedFd> receive(byte[] bytes, int mostFiles, long deadline) throws IOException {
                return socket.receive(bytes, mostFiles, deadline);
            }

            @Override
            public boolean isQuiet() {
                return socket.isQuiet();
            }

            @Override
            public OwnedFd fd() {
                return socket.fd();
            }

            @Override
            public void close() {
                socket.close();
            }
        };
    }
}
