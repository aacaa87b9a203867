package io.github.jkvm.testkit.virtio;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a chain is to be: its parts in order, which {@link #in} gives memory, whether it goes through an indirect table, and what is wrong with
 * it, if anything. Immutable: each method returns another chain.
 *
 * <pre>{@code
 * Chain request = Chain.of().readable(header).readable(1, 2, 3).writable(512).writable(1);
 * Chain hostile = request.indirect().broken(ChainDefect.INDIRECT_NESTED);
 * }</pre>
 */
public final class Chain {
    /** The most parts of a chain that goes through an indirect table. */
    public static final int MAX_INDIRECT = 16;

    private static final int SHOWN_BYTES = 16;
    private static final Chain EMPTY = new Chain(List.of(), Placement.DIRECT, null);

    private final List<Part> parts;
    private final Placement placement;
    private final @Nullable ChainDefect defect;

    /** Where the descriptors are. */
    enum Placement {
        DIRECT,
        INDIRECT
    }

    /** One buffer of a chain. */
    private sealed interface Part {}

    private static final class Content implements Part {
        private final byte[] bytes;

        Content(byte[] bytes) {
            this.bytes = bytes;
        }

        @Override
        public String toString() {
            int shown = Math.min(bytes.length, SHOWN_BYTES);
            return "readable(" + bytes.length
                    + (shown == 0 ? "" : ": " + HexFormat.of().formatHex(bytes, 0, shown))
                    + (shown < bytes.length ? "..." : "") + ")";
        }
    }

    private record Room(int length) implements Part {
        @Override
        public String toString() {
            return "writable(" + length + ")";
        }
    }

    private record Fixed(Buffer buffer) implements Part {
        @Override
        public String toString() {
            return buffer.toString();
        }
    }

    private Chain(List<Part> parts, Placement placement, @Nullable ChainDefect defect) {
        this.parts = parts;
        this.placement = placement;
        this.defect = defect;
    }

    /**
     * Returns a chain with no parts, to begin with.
     *
     * @return the chain
     */
    public static Chain of() {
        return EMPTY;
    }

    private Chain with(Part part) {
        List<Part> more = new ArrayList<>(parts);
        more.add(part);
        return new Chain(List.copyOf(more), placement, defect);
    }

    /**
     * Adds bytes for the device to read.
     *
     * @param content the bytes
     * @return the chain with one more part
     */
    public Chain readable(byte... content) {
        return with(new Content(content.clone()));
    }

    /**
     * Adds bytes for the device to read, written as numbers.
     *
     * @param first the first byte, of which the low 8 bits count
     * @param rest the others
     * @return the chain with one more part
     */
    public Chain readable(int first, int... rest) {
        byte[] content = new byte[1 + rest.length];
        content[0] = (byte) first;
        for (int i = 0; i < rest.length; i++) {
            content[1 + i] = (byte) rest[i];
        }
        return with(new Content(content));
    }

    /**
     * Adds room for the device to write.
     *
     * @param length how much, in bytes, 0 or more
     * @return the chain with one more part
     * @throws IllegalArgumentException if the length is below 0
     */
    public Chain writable(int length) {
        if (length < 0) {
            throw new IllegalArgumentException("a part of " + length + " bytes: the length must be 0 or more");
        }
        return with(new Room(length));
    }

    /**
     * Adds a buffer that is where the test says.
     *
     * @param buffer the buffer
     * @return the chain with one more part
     */
    public Chain buffer(Buffer buffer) {
        return with(new Fixed(buffer));
    }

    /**
     * Puts the descriptors into an indirect table, which takes one descriptor of the queue (virtio 1.2, 2.7.5.3 and 2.8.7).
     *
     * @return the chain, which may have up to {@value #MAX_INDIRECT} parts when it is added
     */
    public Chain indirect() {
        return new Chain(parts, Placement.INDIRECT, defect);
    }

    /**
     * Does something wrong when the chain is made available.
     *
     * @param what what to do wrong
     * @return the chain
     */
    public Chain broken(ChainDefect what) {
        return new Chain(parts, placement, what);
    }

    /**
     * Returns what is wrong with the chain.
     *
     * @return what {@link #broken} was told, or nothing
     */
    public Optional<ChainDefect> defect() {
        return Optional.ofNullable(defect);
    }

    /**
     * Returns how many parts there are.
     *
     * @return the number of descriptors that have a buffer
     */
    public int parts() {
        return parts.size();
    }

    /**
     * Returns how many bytes the device may read.
     *
     * @return the number
     */
    public long readableBytes() {
        return bytes(false);
    }

    /**
     * Returns how many bytes the device may write.
     *
     * @return the number
     */
    public long writableBytes() {
        return bytes(true);
    }

    private long bytes(boolean writable) {
        long bytes = 0;
        for (Part part : parts) {
            bytes += switch (part) {
                case Content content -> writable ? 0 : content.bytes.length;
                case Room room -> writable ? room.length() : 0;
                case Fixed fixed ->
                    fixed.buffer().isWritable() == writable ? fixed.buffer().length() : 0;
            };
        }
        return bytes;
    }

    /**
     * Gives the parts memory, with what is to be read in it.
     *
     * @param buffers where the memory comes from
     * @return the chain in memory
     * @throws IllegalStateException if there is no room left
     */
    public PlacedChain in(GuestBuffers buffers) {
        List<Buffer> placed = new ArrayList<>(parts.size());
        for (Part part : parts) {
            placed.add(
                    switch (part) {
                        case Content content -> buffers.readable(content.bytes);
                        case Room room -> buffers.writable(room.length());
                        case Fixed fixed -> fixed.buffer();
                    });
        }
        return new PlacedChain(buffers.memory(), placed, placement, defect);
    }

    /** Returns the parts, with the first bytes of what is to be read, and what is wrong. */
    @Override
    public String toString() {
        return "Chain" + parts + (placement == Placement.INDIRECT ? ".indirect()" : "")
                + (defect != null ? ".broken(" + defect + ")" : "");
    }
}
