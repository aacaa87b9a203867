package io.github.jkvm.machine.device;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.util.Objects;

/** The host's end of a serial line as a stream: a write waits until the port has taken every byte. */
final class SerialInput extends OutputStream {
    private final Serial16550 serial;

    SerialInput(Serial16550 serial) {
        this.serial = serial;
    }

    @Override
    public void write(int value) throws IOException {
        write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] data, int offset, int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, data.length);
        int done = 0;
        while (done < length) {
            try {
                done += serial.receiveSome(data, offset + done, length - done);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                var interrupted = new InterruptedIOException(
                        "interrupted after " + done + " of " + length + " bytes to " + serial.name());
                interrupted.bytesTransferred = done;
                interrupted.initCause(e);
                throw interrupted;
            }
        }
    }
}
