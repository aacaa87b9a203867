package io.github.jkvm.virtio.block;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Lists of segments that stand for one run of bytes. */
final class SegmentLists {
    private SegmentLists() {}

    /** Returns the bytes from {@code from} on; they are known to be there. */
    static List<MemorySegment> cut(List<MemorySegment> segments, long from, long length) {
        List<MemorySegment> part = new ArrayList<>();
        long skip = from;
        long left = length;
        for (int i = 0; left > 0; i++) {
            MemorySegment segment = segments.get(i);
            long size = segment.byteSize();
            if (skip >= size) {
                skip -= size;
                continue;
            }
            long count = Math.min(left, size - skip);
            part.add(count == size ? segment : segment.asSlice(skip, count));
            left -= count;
            skip = 0;
        }
        return part;
    }

    static void fillWithZeros(List<MemorySegment> segments) {
        for (int i = 0; i < segments.size(); i++) {
            segments.get(i).fill((byte) 0);
        }
    }

    /** Copies a run of bytes out of one segment into many. */
    static void scatter(MemorySegment source, List<MemorySegment> targets) {
        long done = 0;
        for (int i = 0; i < targets.size(); i++) {
            MemorySegment target = targets.get(i);
            MemorySegment.copy(source, done, target, 0, target.byteSize());
            done += target.byteSize();
        }
    }

    /** Copies the bytes of many segments into one. */
    static void gather(List<MemorySegment> sources, MemorySegment target) {
        long done = 0;
        for (int i = 0; i < sources.size(); i++) {
            MemorySegment source = sources.get(i);
            MemorySegment.copy(source, 0, target, done, source.byteSize());
            done += source.byteSize();
        }
    }
}
