package io.github.jkvm.virtio.fuzz;

import io.github.jkvm.testkit.virtio.DeviceFuzz;
import org.junit.jupiter.api.Test;

/** No guest makes a device throw, hang, or take memory without bound: one subclass for each device. */
public abstract class DeviceFuzzTest {
    /** For subclasses. */
    protected DeviceFuzzTest() {}

    /** Returns what fuzzes the device. */
    protected abstract DeviceFuzz fuzz();

    @Test
    void survivesAnyGuest() {
        fuzz().run();
    }
}
