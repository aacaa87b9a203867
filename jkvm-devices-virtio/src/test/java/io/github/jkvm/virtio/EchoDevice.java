package io.github.jkvm.virtio;

import io.github.jkvm.DeviceState;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Answers each chain with what it reads, or keeps it, and remembers what it was told. */
final class EchoDevice extends VirtioDevice {
    static final int LOUD = 3;

    final List<String> told = new ArrayList<>();
    private final DescriptorChain kept = new DescriptorChain();
    boolean fails;
    boolean keeps;
    long remembered;

    EchoDevice(int... queueSizes) {
        super("echo0", 42, new ConfigSpace(12).setInt(0, 0x1234_5678).writable(8, 4), queueSizes);
    }

    @Override
    protected long features() {
        return Feature.mask(LOUD);
    }

    @Override
    protected void activate() {
        told.add("activate");
    }

    @Override
    protected void notified(DeviceQueue queue) {
        if (fails) {
            throw new IllegalStateException("as the test wants it");
        }
        if (keeps) {
            queue.pop(kept);
        } else {
            queue.serve(this::echo);
        }
    }

    private long echo(DescriptorChain chain) {
        byte[] bytes = new byte[(int) chain.readableBytes()];
        chain.reader().readExactly(MemorySegment.ofArray(bytes));
        remembered += bytes.length;
        return chain.writer().write(MemorySegment.ofArray(bytes));
    }

    @Override
    protected void queueStopped(DeviceQueue queue) {
        told.add("queue " + queue.index() + " stopped");
    }

    @Override
    protected void reset() {
        told.add("reset");
    }

    @Override
    protected void configWritten(int offset, int length) {
        told.add("config " + offset + " " + config().get(offset, length));
    }

    @Override
    protected void save(DeviceState state) {
        state.putNumber("remembered", remembered);
    }

    @Override
    protected void restore(DeviceState state) {
        remembered = state.number("remembered", 0, Long.MAX_VALUE);
    }

    @Override
    public void close() {
        told.add("close");
    }

    void changeConfig(int value) {
        config().setInt(0, value);
        configChanged();
    }
}
