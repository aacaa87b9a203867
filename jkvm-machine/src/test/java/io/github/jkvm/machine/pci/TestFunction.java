package io.github.jkvm.machine.pci;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.IoHandler;
import io.github.jkvm.PciBar;
import io.github.jkvm.PciCapability;
import io.github.jkvm.PciFunction;
import io.github.jkvm.PciIdentity;
import java.util.ArrayList;
import java.util.List;

/** A function that answers reads with its offset, and notes all that happens to it. */
final class TestFunction implements PciFunction {
    static final PciIdentity IDENTITY = new PciIdentity(0x1AF4, 0x1042, 0x01_8000, 1, 0x1AF4, 0x1100);

    final List<String> seen = new ArrayList<>();
    final List<PciBar> bars = new ArrayList<>();
    final List<PciCapability> capabilities = new ArrayList<>();
    int vectors;

    TestFunction withBar(long size) {
        String name = "bar" + bars.size();
        bars.add(new PciBar(size, noting(name)));
        return this;
    }

    TestFunction withVectors(int count) {
        vectors = count;
        return this;
    }

    TestFunction with(PciCapability capability) {
        capabilities.add(capability);
        return this;
    }

    IoHandler noting(String name) {
        return new IoHandler() {
            @Override
            public long read(long offset, int size) {
                seen.add(name + " reads " + offset + "/" + size);
                return 0x1111_1111_1111_1111L * (offset & 0xF);
            }

            @Override
            public void write(long offset, int size, long value) {
                seen.add(name + " writes " + offset + "/" + size + "=" + Long.toHexString(value));
            }
        };
    }

    @Override
    public String name() {
        return "test";
    }

    @Override
    public PciIdentity identity() {
        return IDENTITY;
    }

    @Override
    public List<PciBar> bars() {
        return bars;
    }

    @Override
    public List<PciCapability> capabilities() {
        return capabilities;
    }

    @Override
    public int vectors() {
        return vectors;
    }

    @Override
    public void placed(int bar, GuestAddress base) {
        seen.add("bar" + bar + " at " + Long.toHexString(base.value()));
    }

    @Override
    public void removed(int bar) {
        seen.add("bar" + bar + " removed");
    }
}
