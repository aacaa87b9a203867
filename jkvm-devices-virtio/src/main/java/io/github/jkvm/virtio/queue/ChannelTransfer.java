package io.github.jkvm.virtio.queue;

import io.github.jkvm.MemoryRegion;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.GatheringByteChannel;
import java.nio.channels.ScatteringByteChannel;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Moves bytes between a chain and channels, straight from and to guest memory.
 *
 * <p>A buffer is made once for a piece of a region and then moved: transfers allocate nothing here once they have met the regions there
 * are. Memory on the heap, which channels can't reach, is copied: only guests without a hypervisor have it.
 */
final class ChannelTransfer implements ChainPart {
    /** The most pieces of one transfer. The kernel takes 1024 (Linux, include/uapi/linux/uio.h, {@code UIO_MAXIOV}). */
    private static final int MAX_PIECES = 256;

    /** What one buffer can reach of a region: buffers are smaller than regions may be. */
    private static final long REACH = 1L << 30;

    /** The most that one transfer copies. */
    private static final int COPY_BYTES = 1 << 16;

    private final ChainCursor cursor;
    private ByteBuffer[] buffers = {};
    private @Nullable MemoryRegion[] regions = {};
    private long[] bases = {};
    private int count;

    ChannelTransfer(ChainCursor cursor) {
        this.cursor = cursor;
    }

    /** Writes the next bytes to a channel, up to a limit, and moves past what it took; returns how many. */
    long readTo(GatheringByteChannel channel, long limit) throws IOException {
        long taken = 0;
        if (gather(limit)) {
            taken = channel.write(buffers, 0, count);
        } else if (limit != 0 && cursor.remaining() != 0) {
            byte[] copy = new byte[copyLength(limit)];
            cursor.peek(MemorySegment.ofArray(copy));
            taken = channel.write(ByteBuffer.wrap(copy));
        }
        cursor.skip(taken);
        return taken;
    }

    /** Fills the next bytes from a channel, up to a limit, and moves past them; returns how many it gave, or -1 at its end. */
    long writeFrom(ScatteringByteChannel channel, long limit) throws IOException {
        long given = 0;
        if (gather(limit)) {
            given = channel.read(buffers, 0, count);
            cursor.markDirtyAndSkip(Math.max(0, given));
        } else if (limit != 0 && cursor.remaining() != 0) {
            byte[] copy = new byte[copyLength(limit)];
            given = channel.read(ByteBuffer.wrap(copy));
            cursor.write(MemorySegment.ofArray(copy).asSlice(0, Math.max(0, given)));
        }
        return given;
    }

    /** Makes the buffers of the next bytes; returns false if there is none. */
    private boolean gather(long limit) {
        count = 0;
        cursor.forEachPart(limit, this);
        return count != 0;
    }

    private int copyLength(long limit) {
        return (int) Math.min(Math.min(limit, cursor.remaining()), COPY_BYTES);
    }

    /** Adds a piece, in several buffers if one does not reach that far. */
    @Override
    public boolean accept(MemoryRegion region, long offset, long length) {
        if (!region.segment().isNative()) {
            return false;
        }
        for (long done = 0; done < length && count < MAX_PIECES; ) {
            done += add(region, offset + done, length - done);
        }
        return count < MAX_PIECES;
    }

    private int add(MemoryRegion region, long offset, long length) {
        if (count == buffers.length) {
            int room = Math.max(8, 2 * count);
            buffers = Arrays.copyOf(buffers, room);
            regions = Arrays.copyOf(regions, room);
            bases = Arrays.copyOf(bases, room);
        }
        long base = offset & -REACH;
        if (regions[count] != region || bases[count] != base) {
            buffers[count] = region.segment()
                    .asSlice(base, Math.min(REACH, region.size() - base))
                    .asByteBuffer();
            regions[count] = region;
            bases[count] = base;
        }
        int from = (int) (offset - base);
        int bytes = (int) Math.min(length, buffers[count].capacity() - from);
        buffers[count].limit(from + bytes).position(from);
        count++;
        return bytes;
    }
}
