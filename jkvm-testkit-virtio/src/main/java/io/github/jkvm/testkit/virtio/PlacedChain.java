package io.github.jkvm.testkit.virtio;

import io.github.jkvm.GuestMemory;
import java.io.ByteArrayOutputStream;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A {@link Chain} whose parts are in guest memory; see {@link DriverQueue#add(PlacedChain)}. */
public final class PlacedChain {
    private final GuestMemory memory;
    private final List<Buffer> buffers;
    private final Chain.Placement placement;
    private final @Nullable ChainDefect defect;

    PlacedChain(GuestMemory memory, List<Buffer> buffers, Chain.Placement placement, @Nullable ChainDefect defect) {
        this.memory = memory;
        this.buffers = List.copyOf(buffers);
        this.placement = placement;
        this.defect = defect;
    }

    /**
     * Returns where the parts are.
     *
     * @return a buffer for each part, in order
     */
    public List<Buffer> buffers() {
        return buffers;
    }

    /**
     * Returns what is wrong with the chain.
     *
     * @return what {@link Chain#broken} was told, or nothing
     */
    public Optional<ChainDefect> defect() {
        return Optional.ofNullable(defect);
    }

    Chain.Placement placement() {
        return placement;
    }

    /**
     * Returns the first bytes of the writable parts, one part after the other.
     *
     * @param length how many, such as {@link Used#length()}
     * @return a copy of them
     * @throws AssertionError if there is not so much room in the chain: the device can't have written that much (virtio 1.2, 2.7.8.2)
     */
    public byte[] written(long length) {
        var bytes = new ByteArrayOutputStream();
        long left = length;
        for (Buffer buffer : buffers) {
            if (buffer.isWritable()) {
                long count = Math.min(left, buffer.length());
                bytes.writeBytes(memory.read(buffer.address(), Math.toIntExact(count)));
                left -= count;
            }
        }
        if (left != 0) {
            throw new AssertionError("the device says that it wrote " + length + " bytes; the chain has room for "
                    + (length - left) + ": " + buffers);
        }
        return bytes.toByteArray();
    }
}
