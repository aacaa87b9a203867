package io.github.jkvm.virtio.block;

import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.Feature;
import io.github.jkvm.virtio.RateLimiter;
import io.github.jkvm.virtio.block.BlockDevice.Serving;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;

/** Collects how a {@link BlockDevice} is to be. */
public final class BlockDeviceBuilder {
    private static final int MOST_QUEUES = 64;
    private static final int MOST_WORKERS = 256;
    private static final int LARGEST_QUEUE = 1024;
    private static final int LARGEST_BLOCK = 4096;

    final String name;
    final DiskImage image;
    private byte[] serial = {};
    int queues = 1;
    int queueSize = 256;
    int workers = 4;
    Serving serving = Serving.ADAPTIVE;
    RateLimiter limiter = RateLimiter.unlimited();
    private boolean readOnly;
    private int logicalBlock = DiskImage.SECTOR_BYTES;
    private int physicalBlock = LARGEST_BLOCK;
    private int optimalBytes;

    BlockDeviceBuilder(String name, DiskImage image) {
        this.name = Objects.requireNonNull(name, "name");
        this.image = Objects.requireNonNull(image, "image");
        this.readOnly = image.isReadOnly();
    }

    /**
     * Gives the disk a serial, which Linux shows as {@code /sys/block/vda/serial} and in {@code /dev/disk/by-id}.
     *
     * @param text up to 20 ASCII characters
     * @return this
     * @throws IllegalArgumentException if it is longer or not ASCII
     */
    public BlockDeviceBuilder serial(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        if (bytes.length != text.length() || bytes.length > BlockDevice.SERIAL_BYTES) {
            throw new IllegalArgumentException(
                    "serial '" + text + "' must have up to " + BlockDevice.SERIAL_BYTES + " ASCII characters");
        }
        serial = bytes;
        return this;
    }

    /**
     * Has the guest not write the disk, whatever its image allows. A disk whose image is read-only is so without this.
     *
     * @return this
     */
    public BlockDeviceBuilder readOnly() {
        readOnly = true;
        return this;
    }

    /**
     * Sets how many queues the disk has. A guest with several vCPUs uses one for each.
     *
     * @param count 1 to 64; 1 unless chosen otherwise
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public BlockDeviceBuilder queues(int count) {
        queues = inRange("number of queues", count, 1, MOST_QUEUES);
        return this;
    }

    /**
     * Sets the size of each queue, which is how many requests it can have under way.
     *
     * @param descriptors a power of two from 4 to 1024; 256 unless chosen otherwise
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public BlockDeviceBuilder queueSize(int descriptors) {
        if (Integer.bitCount(descriptors) != 1) {
            throw new IllegalArgumentException("queue size " + descriptors + " must be a power of two");
        }
        queueSize = inRange("queue size", descriptors, 4, LARGEST_QUEUE);
        return this;
    }

    /**
     * Sets how many requests are executed at the same time outside of the event loop. Each takes a thread while there is work.
     *
     * @param threads 1 to 256; 4 unless chosen otherwise
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public BlockDeviceBuilder workers(int threads) {
        workers = inRange("number of workers", threads, 1, MOST_WORKERS);
        return this;
    }

    /**
     * Sets where reads and writes are executed.
     *
     * @param where {@link Serving#ADAPTIVE} unless chosen otherwise
     * @return this
     */
    public BlockDeviceBuilder serving(Serving where) {
        serving = Objects.requireNonNull(where, "where");
        return this;
    }

    /**
     * Limits the bytes and the requests a second.
     *
     * @param rates the limits, for this device alone
     * @return this
     */
    public BlockDeviceBuilder rateLimit(RateLimiter rates) {
        limiter = Objects.requireNonNull(rates, "rates");
        return this;
    }

    /**
     * Tells the guest the sizes of blocks. They are advice; a request for any sector is served.
     *
     * @param logical smallest unit that the guest should address, in bytes: a power of two from 512 to 4096; 512 unless chosen otherwise
     * @param physical unit that is written without reading first, in bytes: a power of two from {@code logical} to 1 MiB; 4096 unless chosen
     *     otherwise
     * @return this
     * @throws IllegalArgumentException if either is out of range
     */
    public BlockDeviceBuilder blockSizes(int logical, int physical) {
        if (Integer.bitCount(logical) != 1 || Integer.bitCount(physical) != 1) {
            throw new IllegalArgumentException(
                    "block sizes " + logical + " and " + physical + " must be powers of two");
        }
        logicalBlock = inRange("logical block size", logical, DiskImage.SECTOR_BYTES, LARGEST_BLOCK);
        physicalBlock = inRange("physical block size", physical, logical, 1 << 20);
        return this;
    }

    /**
     * Tells the guest how much it should read or write at once for most throughput.
     *
     * @param bytes a multiple of the logical block size, up to 64 MiB; 0 says nothing, as does leaving this out
     * @return this
     * @throws IllegalArgumentException if it is out of range
     */
    public BlockDeviceBuilder optimalTransfer(int bytes) {
        optimalBytes = inRange("optimal transfer", bytes, 0, 64 << 20);
        return this;
    }

    /**
     * Makes the device.
     *
     * @return the device, to be handed to a transport
     * @throws IllegalArgumentException if the optimal transfer is not made of whole blocks, or the image not of whole sectors
     */
    public BlockDevice build() {
        if (optimalBytes % logicalBlock != 0) {
            throw new IllegalArgumentException("optimal transfer " + optimalBytes
                    + " must be a multiple of the logical block size " + logicalBlock);
        }
        image.checkRange(0, image.size());
        return new BlockDevice(this);
    }

    private static int inRange(String what, int value, int min, int max) {
        if (value < min || value > max) {
            throw new IllegalArgumentException(what + " " + value + " must be from " + min + " to " + max);
        }
        return value;
    }

    int[] queueSizes() {
        int[] sizes = new int[queues];
        Arrays.fill(sizes, queueSize);
        return sizes;
    }

    /** Returns the serial as the driver gets it. */
    MemorySegment paddedSerial() {
        return MemorySegment.ofArray(Arrays.copyOf(serial, BlockDevice.SERIAL_BYTES));
    }

    long features() {
        long features = Feature.mask(BlockConfig.SIZE_MAX)
                | Feature.mask(BlockConfig.SEG_MAX)
                | Feature.mask(BlockConfig.BLK_SIZE)
                | Feature.mask(BlockConfig.FLUSH)
                | Feature.mask(BlockConfig.TOPOLOGY)
                | Feature.mask(BlockConfig.CONFIG_WCE);
        if (queues > 1) {
            features |= Feature.mask(BlockConfig.MQ);
        }
        return features
                | (readOnly
                        ? Feature.mask(BlockConfig.RO)
                        : Feature.mask(BlockConfig.DISCARD) | Feature.mask(BlockConfig.WRITE_ZEROES));
    }

    void fill(ConfigSpace config) {
        config.setLong(BlockConfig.CAPACITY_AT, image.size() / DiskImage.SECTOR_BYTES)
                .setInt(BlockConfig.SIZE_MAX_AT, BlockConfig.LONGEST_SEGMENT)
                .setInt(BlockConfig.SEG_MAX_AT, BlockConfig.mostSegments(queueSize))
                .setInt(BlockConfig.BLK_SIZE_AT, logicalBlock)
                .setByte(
                        BlockConfig.PHYSICAL_BLOCK_EXP_AT,
                        Integer.numberOfTrailingZeros(physicalBlock) - Integer.numberOfTrailingZeros(logicalBlock))
                .setShort(BlockConfig.MIN_IO_SIZE_AT, physicalBlock / logicalBlock)
                .setInt(BlockConfig.OPT_IO_SIZE_AT, optimalBytes / logicalBlock)
                .setByte(BlockConfig.WRITEBACK_AT, 1)
                .writable(BlockConfig.WRITEBACK_AT, Byte.BYTES);
        if (queues > 1) {
            config.setShort(BlockConfig.NUM_QUEUES_AT, queues);
        }
        if (!readOnly) {
            config.setInt(BlockConfig.MAX_DISCARD_SECTORS_AT, BlockConfig.MOST_DISCARD_SECTORS)
                    .setInt(BlockConfig.MAX_DISCARD_SEG_AT, BlockConfig.MOST_RANGES)
                    .setInt(
                            BlockConfig.DISCARD_SECTOR_ALIGNMENT_AT,
                            image.discardGranularity() / DiskImage.SECTOR_BYTES)
                    .setInt(BlockConfig.MAX_WRITE_ZEROES_SECTORS_AT, BlockConfig.MOST_ZERO_SECTORS)
                    .setInt(BlockConfig.MAX_WRITE_ZEROES_SEG_AT, BlockConfig.MOST_RANGES)
                    .setByte(BlockConfig.WRITE_ZEROES_MAY_UNMAP_AT, 1);
        }
    }
}
