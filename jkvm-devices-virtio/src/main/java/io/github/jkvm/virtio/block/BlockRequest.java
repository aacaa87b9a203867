package io.github.jkvm.virtio.block;

import io.github.jkvm.kvm.ffi.IoVectors;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.queue.ChainPart;
import io.github.jkvm.virtio.queue.ChainReader;
import io.github.jkvm.virtio.queue.ChainWriter;
import io.github.jkvm.virtio.queue.DescriptorChain;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/**
 * One request on its way: read from its chain and checked, executed on any thread, and given back. Made once and used for many requests, one after
 * the other.
 *
 * <p>A request is the header, then data, then one byte of status, in the readable and the writable bytes of the chain, however those are cut
 * into buffers (virtio 1.2, 2.7.4 and 5.2.6).
 */
final class BlockRequest implements Runnable {
    /** {@code VIRTIO_BLK_S_OK} and the others (virtio 1.2, 5.2.6). */
    static final byte OK = 0;

    static final byte IO_ERROR = 1;
    static final byte UNSUPPORTED = 2;

    private static final int HEADER_BYTES = 16;
    private static final int RANGE_BYTES = 16;
    private static final int STATUS_BYTES = 1;

    /** {@code unmap}, the one flag of a range. */
    private static final int UNMAP = 1;

    private final BlockDevice device;
    private final DescriptorChain chain = new DescriptorChain();
    private final DeviceQueue queue;
    private final long[] rangeOffsets = new long[BlockConfig.MOST_RANGES];
    private final long[] rangeLengths = new long[BlockConfig.MOST_RANGES];
    private final ZeroMode[] rangeModes = new ZeroMode[BlockConfig.MOST_RANGES];
    private int ranges;

    private RequestType type = RequestType.UNKNOWN;
    private byte status;
    private boolean writeThrough;
    private long offset;
    private long length;
    private long nanos;
    private boolean metered;
    private boolean stalled;

    BlockRequest(BlockDevice device, DeviceQueue queue) {
        this.device = device;
        this.queue = queue;
    }

    DescriptorChain chain() {
        return chain;
    }

    DeviceQueue queue() {
        return queue;
    }

    RequestType type() {
        return type;
    }

    /** Returns how many bytes a read or a write moves; 0 of other requests. */
    long length() {
        return length;
    }

    byte status() {
        return status;
    }

    /** Returns how long the image took in nanoseconds. */
    long nanos() {
        return nanos;
    }

    /**
     * Reads the request that was popped into the chain and checks it. What has to be decided is read once; only data is left in guest memory.
     *
     * @return true if it has to be executed; false if the status is known already
     */
    boolean parse() {
        type = RequestType.UNKNOWN;
        length = 0;
        nanos = 0;
        metered = false;
        stalled = false;
        status = check();
        return status == OK && type != RequestType.GET_ID;
    }

    private byte check() {
        ChainReader reader = chain.reader();
        ChainWriter writer = chain.writer();
        if (!reader.has(HEADER_BYTES) || !writer.has(STATUS_BYTES)) {
            return IO_ERROR;
        }
        type = RequestType.of(reader.nextInt());
        reader.skip(Integer.BYTES);
        long sector = reader.nextLong();
        long in = writer.remaining() - STATUS_BYTES;
        long out = reader.remaining();
        if (type.changesDisk() && device.isReadOnly()) {
            // Virtio 1.2, 5.2.6.2: "A device MUST set the status byte to VIRTIO_BLK_S_IOERR for a write request if the
            // VIRTIO_BLK_F_RO feature if offered, and MUST NOT write any data."
            return IO_ERROR;
        }
        return switch (type) {
            case READ -> out == 0 ? checkData(sector, in) : IO_ERROR;
            case WRITE -> in == 0 ? checkData(sector, out) : IO_ERROR;
            case FLUSH -> device.agreedOn(BlockConfig.FLUSH) ? (in | out | sector) == 0 ? OK : IO_ERROR : UNSUPPORTED;
            case GET_ID -> out == 0 ? writeId(writer, in) : IO_ERROR;
            case DISCARD -> device.agreedOn(BlockConfig.DISCARD) ? checkRanges(reader, in, out) : UNSUPPORTED;
            case WRITE_ZEROES -> device.agreedOn(BlockConfig.WRITE_ZEROES) ? checkRanges(reader, in, out) : UNSUPPORTED;
            case UNKNOWN -> UNSUPPORTED;
        };
    }

    private byte checkData(long sector, long bytes) {
        if (bytes % DiskImage.SECTOR_BYTES != 0
                || bytes > device.longestRequest()
                || !isOnDisk(sector, bytes / DiskImage.SECTOR_BYTES)) {
            return IO_ERROR;
        }
        offset = sector * DiskImage.SECTOR_BYTES;
        length = bytes;
        writeThrough = device.isWriteThrough();
        return OK;
    }

    /** Tells whether sectors are on the disk; the first one is unsigned. */
    private boolean isOnDisk(long sector, long count) {
        long capacity = device.capacity();
        return sector >= 0 && sector <= capacity && count <= capacity - sector;
    }

    private byte writeId(ChainWriter writer, long room) {
        MemorySegment serial = device.serial();
        return room >= serial.byteSize() && writer.writeExactly(serial) ? OK : IO_ERROR;
    }

    private byte checkRanges(ChainReader reader, long in, long out) {
        if (in != 0 || out == 0 || out % RANGE_BYTES != 0 || out / RANGE_BYTES > BlockConfig.MOST_RANGES) {
            return IO_ERROR;
        }
        ranges = (int) (out / RANGE_BYTES);
        writeThrough = device.isWriteThrough();
        int most = type == RequestType.DISCARD ? BlockConfig.MOST_DISCARD_SECTORS : BlockConfig.MOST_ZERO_SECTORS;
        byte result = OK;
        for (int i = 0; i < ranges; i++) {
            long sector = reader.nextLong();
            long count = Integer.toUnsignedLong(reader.nextInt());
            int flags = reader.nextInt();
            // Virtio 1.2, 5.2.6.2: unsupported are unknown flags, and the unmap flag in a discard.
            if ((flags & ~UNMAP) != 0 || (type == RequestType.DISCARD && flags != 0)) {
                return UNSUPPORTED;
            }
            if (count > most || !isOnDisk(sector, count)) {
                result = IO_ERROR;
            } else {
                rangeOffsets[i] = sector * DiskImage.SECTOR_BYTES;
                rangeLengths[i] = count * DiskImage.SECTOR_BYTES;
                rangeModes[i] = (flags & UNMAP) != 0 ? ZeroMode.MAY_UNMAP : ZeroMode.KEEP;
            }
        }
        return result;
    }

    /** Shows a read or a write the pieces of guest memory it is about. */
    void showData(ChainPart action) {
        if (type == RequestType.READ) {
            chain.writer().forEachPart(length, action);
        } else {
            chain.reader().forEachPart(length, action);
        }
    }

    /** Has {@link #stalled} tell about the execution that follows. */
    void meter() {
        metered = true;
    }

    boolean isMetered() {
        return metered;
    }

    /** Tells whether the execution held its thread up. */
    boolean stalled() {
        return stalled;
    }

    /** Does what is asked for, on any thread and however long it takes, and keeps the status. */
    void execute() {
        if (metered) {
            StallMeter meter = StallMeter.start();
            perform();
            stalled = meter.stalled(nanos);
        } else {
            perform();
        }
    }

    /**
     * Does a read or a write of a file if that takes no waiting for the storage.
     *
     * @return false if it is still to be {@linkplain #execute executed}
     */
    boolean executeAtOnce(ImageFile file) {
        long start = System.nanoTime();
        try {
            IoVectors vectors = RequestVectors.of(this);
            boolean moved = vectors != null && file.moveAtOnce(direction(), offset, vectors);
            nanos = System.nanoTime() - start;
            return moved;
        } catch (RuntimeException e) {
            // The execution meets it again, and tells.
            return false;
        }
    }

    FileTransfer direction() {
        return type == RequestType.READ ? FileTransfer.READ : FileTransfer.WRITE;
    }

    private void perform() {
        long start = System.nanoTime();
        // Should something be thrown that is not caught here, such as an error of the JVM.
        status = IO_ERROR;
        try {
            perform(device.image());
            status = OK;
        } catch (IOException | RuntimeException e) {
            // Of the latter kind are memory and images that the program closed under the device.
            device.failed(this, e);
        }
        nanos = System.nanoTime() - start;
    }

    private void perform(DiskImage image) throws IOException {
        switch (type) {
            case READ -> {
                if (!movedInOneCall()) {
                    image.read(offset, chain.writer().segments(length));
                }
            }
            case WRITE -> {
                if (!movedInOneCall()) {
                    image.write(offset, chain.reader().segments(length));
                }
            }
            case DISCARD -> {
                for (int i = 0; i < ranges; i++) {
                    image.discard(rangeOffsets[i], rangeLengths[i]);
                }
            }
            case WRITE_ZEROES -> {
                for (int i = 0; i < ranges; i++) {
                    image.writeZeroes(rangeOffsets[i], rangeLengths[i], rangeModes[i]);
                }
            }
            case FLUSH -> image.flush();
            default -> throw new IllegalStateException(type + " is not for the image");
        }
        if (type.changesDisk() && writeThrough) {
            image.flush();
        }
    }

    /** Tries the short way. What does not succeed on it is done anew by the image, which tells why it fails. */
    private boolean movedInOneCall() {
        ImageFile file = device.file();
        if (file == null) {
            return false;
        }
        IoVectors vectors = RequestVectors.of(this);
        return vectors != null && file.moveInOneCall(direction(), offset, vectors);
    }

    boolean isWriteThrough() {
        return type.changesDisk() && writeThrough;
    }

    /** Executes the request on a worker's thread, and hands it back to the device. */
    @Override
    public void run() {
        try {
            execute();
        } finally {
            // Whatever happened: the driver waits for it, and so does a reset.
            device.executed(this);
        }
    }

    /** Writes the status, on the loop, and gives the chain back. */
    void complete() {
        ChainWriter writer = chain.writer();
        if (type == RequestType.READ) {
            // A read that failed may have written some of it.
            writer.advance(length);
        }
        long room = writer.remaining();
        // Always the last byte that the driver lets the device write.
        boolean answered = room != 0 && writer.writeAhead(room - STATUS_BYTES, status);
        // What counts as written has no gaps (virtio 1.2, 2.7.8.2), as data that was not read would be.
        boolean whole = answered && room == STATUS_BYTES && (status == OK || writer.position() == 0);
        queue.complete(chain, whole ? writer.position() + STATUS_BYTES : 0);
    }

    /** Returns what it asks for. */
    @Override
    public String toString() {
        return type + " of " + length + " bytes at " + offset;
    }
}
