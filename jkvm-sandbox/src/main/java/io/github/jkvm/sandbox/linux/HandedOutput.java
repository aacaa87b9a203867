package io.github.jkvm.sandbox.linux;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Hands output on to a stream as it comes. A stream that blocks holds the command back. */
public final class HandedOutput implements OutputSink {
    private final OutputStream target;
    private @Nullable Credit credit;

    /**
     * Takes a stream.
     *
     * @param target where the output goes; stays the caller's to close
     */
    public HandedOutput(OutputStream target) {
        this.target = target;
    }

    @Override
    public void begin(Credit more) {
        credit = more;
    }

    @Override
    public void accept(ByteBuffer bytes) throws IOException {
        int count = bytes.remaining();
        target.write(bytes.array(), bytes.arrayOffset() + bytes.position(), count);
        Objects.requireNonNull(credit, "output comes after the start").grant(count);
    }

    @Override
    public void end() {}
}
