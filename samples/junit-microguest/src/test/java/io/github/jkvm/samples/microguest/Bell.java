package io.github.jkvm.samples.microguest;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.IoHandler;
import java.util.List;

/** A device under test: it notes what the guest writes to its port. */
final class Bell implements Device {
    static final int PORT = 0x300;

    private final List<Long> rings;

    Bell(List<Long> rings) {
        this.rings = rings;
    }

    @Override
    public String name() {
        return "bell";
    }

    @Override
    public void attach(Bus bus) {
        bus.claimPorts(
                PORT,
                4,
                new IoHandler() {
                    @Override
                    public long read(long offset, int size) {
                        return rings.size();
                    }

                    @Override
                    public void write(long offset, int size, long value) {
                        rings.add(value);
                    }
                },
                name());
    }

    @Override
    public void close() {}
}
