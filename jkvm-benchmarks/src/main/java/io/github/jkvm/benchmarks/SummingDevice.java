package io.github.jkvm.benchmarks;

import io.github.jkvm.Bus;
import io.github.jkvm.Device;
import io.github.jkvm.ExitHandler;
import io.github.jkvm.IoHandler;

/** Adds up what the guest writes, as kvm-peer.c does: on the bus a device, and by itself the simplest handler of exits. */
final class SummingDevice implements Device, IoHandler, ExitHandler {
    private static final long MMIO_SIZE = 4096;

    private long sum;

    @Override
    public String name() {
        return "sum";
    }

    @Override
    public void attach(Bus bus) {
        bus.claimPorts(RealModeGuest.PORT, 1, this, name());
        bus.claimMmio(RealModeGuest.MMIO, MMIO_SIZE, this, name());
    }

    @Override
    public long read(long offset, int size) {
        return OPEN_BUS;
    }

    @Override
    public void write(long offset, int size, long value) {
        sum += value;
    }

    @Override
    public long portIn(int port, int size) {
        return OPEN_BUS;
    }

    @Override
    public void portOut(int port, int size, long value) {
        sum += value;
    }

    @Override
    public long mmioRead(long address, int size) {
        return OPEN_BUS;
    }

    @Override
    public void mmioWrite(long address, int size, long value) {
        sum += value;
    }

    /** Returns the sum of all that was written. */
    long sum() {
        return sum;
    }

    @Override
    public void close() {}
}
