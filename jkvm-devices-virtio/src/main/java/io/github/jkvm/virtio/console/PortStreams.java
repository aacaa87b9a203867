package io.github.jkvm.virtio.console;

import io.github.jkvm.virtio.pipe.BytePipe;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** A port's pipes as streams. */
final class PortStreams {
    private PortStreams() {}

    private static InterruptedIOException interrupted(int transferred) {
        Thread.currentThread().interrupt();
        var e = new InterruptedIOException("interrupted while waiting for the guest");
        e.bytesTransferred = transferred;
        return e;
    }

    /** What the guest writes. */
    static final class In extends InputStream {
        private final BytePipe pipe;

        In(BytePipe pipe) {
            this.pipe = pipe;
        }

        @Override
        public int read() throws IOException {
            var one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            Objects.checkFromIndexSize(offset, length, target.length);
            if (length == 0) {
                return 0;
            }
            try {
                return pipe.read(MemorySegment.ofArray(target).asSlice(offset, length), null);
            } catch (InterruptedException e) {
                throw interrupted(0);
            }
        }

        @Override
        public int available() {
            return pipe.available();
        }

        @Override
        public void close() {
            pipe.closeReader();
        }
    }

    /** What the guest reads. */
    static final class Out extends OutputStream {
        private final BytePipe pipe;

        Out(BytePipe pipe) {
            this.pipe = pipe;
        }

        @Override
        public void write(int value) throws IOException {
            write(new byte[] {(byte) value}, 0, 1);
        }

        @Override
        public void write(byte[] source, int offset, int length) throws IOException {
            Objects.checkFromIndexSize(offset, length, source.length);
            int done = 0;
            try {
                while (done < length) {
                    done += pipe.write(MemorySegment.ofArray(source).asSlice(offset + done, length - done), null);
                }
            } catch (InterruptedException e) {
                throw interrupted(done);
            }
        }

        @Override
        public void close() {
            pipe.closeWriter();
        }
    }
}
