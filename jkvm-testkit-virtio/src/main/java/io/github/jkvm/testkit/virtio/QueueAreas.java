package io.github.jkvm.testkit.virtio;

/**
 * Size and place of a queue, as the driver tells the device (virtio 1.2, 2.7 and 2.8), and where things are in it. Any values are possible, for
 * hostile drivers; the methods only add.
 *
 * @param size number of descriptors
 * @param descriptors guest-physical address of the descriptor area: a split queue's descriptor table, a packed queue's ring
 * @param driver guest-physical address of the driver area: the available ring, or the driver's event suppression structure
 * @param device guest-physical address of the device area: the used ring, or the device's event suppression structure
 */
public record QueueAreas(int size, long descriptors, long driver, long device) {
    /** Size of a descriptor in bytes (2.7.5 and 2.8.13). */
    static final int DESCRIPTOR_BYTES = 16;

    private static final long PAGE = 4096;

    // The available ring (2.7.6): flags, idx, ring[size], used_event, 2 bytes each.
    private static final int IDX = 2;
    private static final int RING = 4;
    private static final int AVAILABLE_ENTRY = 2;

    // The used ring (2.7.8): flags, idx, then id and len of 4 bytes each, then avail_event.
    private static final int USED_ENTRY = 8;

    /**
     * Returns areas that begin on pages of their own, right for either format: below {@code base + 0x4000} for up to 256 descriptors.
     *
     * @param base guest-physical address of the descriptor area, a multiple of 4096
     * @param size number of descriptors
     * @return the areas
     */
    public static QueueAreas at(long base, int size) {
        long driver = base + Math.max(2 * PAGE, pages((long) DESCRIPTOR_BYTES * size));
        long device = driver + pages(RING + (long) AVAILABLE_ENTRY * size + IDX);
        return new QueueAreas(size, base, driver, device);
    }

    private static long pages(long bytes) {
        return (bytes + PAGE - 1) & -PAGE;
    }

    /** Returns the first page behind areas of {@link #at}. */
    long end() {
        return device + pages(RING + (long) USED_ENTRY * size + IDX);
    }

    /**
     * Returns where a descriptor is.
     *
     * @param index its index
     * @return the address
     */
    public long descriptor(int index) {
        return descriptors + (long) DESCRIPTOR_BYTES * index;
    }

    /**
     * Returns where the flags of a split queue's available ring are.
     *
     * @return the address
     */
    public long availableFlags() {
        return driver;
    }

    /**
     * Returns where the {@code idx} of the available ring is.
     *
     * @return the address
     */
    public long availableIndex() {
        return driver + IDX;
    }

    /**
     * Returns where an entry of the available ring is.
     *
     * @param index a free-running index, taken modulo the size, which is a power of two
     * @return the address
     */
    public long availableEntry(int index) {
        return driver + RING + (long) AVAILABLE_ENTRY * (index & (size - 1));
    }

    /**
     * Returns where {@code used_event} is, which the driver writes (2.7.7).
     *
     * @return the address
     */
    public long usedEvent() {
        return driver + RING + (long) AVAILABLE_ENTRY * size;
    }

    /**
     * Returns where the flags of a split queue's used ring are.
     *
     * @return the address
     */
    public long usedFlags() {
        return device;
    }

    /**
     * Returns where the {@code idx} of the used ring is.
     *
     * @return the address
     */
    public long usedIndex() {
        return device + IDX;
    }

    /**
     * Returns where an entry of the used ring is.
     *
     * @param index a free-running index, taken modulo the size, which is a power of two
     * @return the address
     */
    public long usedEntry(int index) {
        return device + RING + (long) USED_ENTRY * (index & (size - 1));
    }

    /**
     * Returns where {@code avail_event} is, which the device writes (2.7.10).
     *
     * @return the address
     */
    public long availableEvent() {
        return device + RING + (long) USED_ENTRY * size;
    }
}
