package io.github.jkvm.virtio.block;

/** Features and configuration space of a block device (virtio 1.2, 5.2.3 and 5.2.4; Linux, include/uapi/linux/virtio_blk.h). */
final class BlockConfig {
    static final int SIZE_MAX = 1;
    static final int SEG_MAX = 2;
    static final int RO = 5;
    static final int BLK_SIZE = 6;
    static final int FLUSH = 9;
    static final int TOPOLOGY = 10;
    static final int CONFIG_WCE = 11;
    static final int MQ = 12;
    static final int DISCARD = 13;
    static final int WRITE_ZEROES = 14;

    /** Offsets of the fields in bytes. Of those not set here, padding must be 0 (virtio 1.2, 5.2.5.2), and the others are not offered. */
    static final int CAPACITY_AT = 0;

    static final int SIZE_MAX_AT = 8;
    static final int SEG_MAX_AT = 12;
    static final int BLK_SIZE_AT = 20;
    static final int PHYSICAL_BLOCK_EXP_AT = 24;
    static final int MIN_IO_SIZE_AT = 26;
    static final int OPT_IO_SIZE_AT = 28;
    static final int WRITEBACK_AT = 32;
    static final int NUM_QUEUES_AT = 34;
    static final int MAX_DISCARD_SECTORS_AT = 36;
    static final int MAX_DISCARD_SEG_AT = 40;
    static final int DISCARD_SECTOR_ALIGNMENT_AT = 44;
    static final int MAX_WRITE_ZEROES_SECTORS_AT = 48;
    static final int MAX_WRITE_ZEROES_SEG_AT = 52;
    static final int WRITE_ZEROES_MAY_UNMAP_AT = 56;
    static final int BYTES = 60;

    /** Greatest length of one buffer of a request in bytes: with it, what one request moves is bounded. */
    static final int LONGEST_SEGMENT = 1 << 20;

    /** Most ranges of one discard or write-zeroes request. */
    static final int MOST_RANGES = 32;

    /** Most sectors of one range that is discarded: 4 GiB. */
    static final int MOST_DISCARD_SECTORS = 8 << 20;

    /** Most sectors of one range that is zeroed: 64 MiB, which may have to be written. */
    static final int MOST_ZERO_SECTORS = 128 << 10;

    /** Descriptors of a request that hold no data: header and status. */
    private static final int FRAME_DESCRIPTORS = 2;

    private BlockConfig() {}

    /** How many buffers of data a request can have: as many as a queue has room for beside its frame. */
    static int mostSegments(int queueSize) {
        return Math.max(1, queueSize - FRAME_DESCRIPTORS);
    }
}
