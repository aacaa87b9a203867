package io.github.jkvm.virtio.block;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** What a disk should hold, and random requests to a real one and to this at the same time. */
final class DiskModel {
    private static final int SECTOR = DiskImage.SECTOR_BYTES;

    private final SplittableRandom random;
    private final byte[] bytes;

    DiskModel(long seed, byte[] content) {
        this.random = new SplittableRandom(seed);
        this.bytes = content.clone();
    }

    byte[] bytes() {
        return bytes.clone();
    }

    /** Makes one request; {@code longest} is the most sectors it has. */
    void step(DiskImage image, int longest) throws IOException {
        int sectors = bytes.length / SECTOR;
        int from = random.nextInt(sectors);
        int count =
                Math.min(sectors - from, 1 + random.nextInt(random.nextInt(4) == 0 ? longest : Math.min(9, longest)));
        int offset = from * SECTOR;
        int length = count * SECTOR;
        switch (random.nextInt(10)) {
            case 0, 1, 2, 3 -> write(image, offset, length);
            case 4, 5, 6 -> checkRange(image, offset, length);
            case 7 -> zero(image, offset, length, ZeroMode.MAY_UNMAP);
            case 8 -> zero(image, offset, length, ZeroMode.KEEP);
            default -> discard(image, offset, length);
        }
    }

    void check(DiskImage image) throws IOException {
        checkRange(image, 0, bytes.length);
    }

    void write(DiskImage image, int offset, int length) throws IOException {
        byte[] data = new byte[length];
        random.nextBytes(data);
        try (Arena arena = Arena.ofConfined()) {
            List<MemorySegment> pieces = pieces(arena, length);
            SegmentLists.scatter(MemorySegment.ofArray(data), pieces);
            image.write(offset, pieces);
        }
        System.arraycopy(data, 0, bytes, offset, length);
    }

    private void checkRange(DiskImage image, int offset, int length) throws IOException {
        byte[] found = new byte[length];
        try (Arena arena = Arena.ofConfined()) {
            List<MemorySegment> pieces = pieces(arena, length);
            image.read(offset, pieces);
            SegmentLists.gather(pieces, MemorySegment.ofArray(found));
        }
        int mismatch = Arrays.mismatch(found, 0, length, bytes, offset, offset + length);
        assertThat(mismatch)
                .as("first byte of %s that is wrong, from %d on", image, offset)
                .isEqualTo(-1);
    }

    private void zero(DiskImage image, int offset, int length, ZeroMode mode) throws IOException {
        image.writeZeroes(offset, length, mode);
        Arrays.fill(bytes, offset, offset + length, (byte) 0);
    }

    /** A sector that is discarded may read as before, or as zeros. */
    private void discard(DiskImage image, int offset, int length) throws IOException {
        image.discard(offset, length);
        byte[] found = new byte[length];
        image.read(offset, List.of(MemorySegment.ofArray(found)));
        for (int at = 0; at < length; at += SECTOR) {
            byte[] sector = Arrays.copyOfRange(found, at, at + SECTOR);
            if (!Arrays.equals(sector, new byte[SECTOR])) {
                assertThat(sector).isEqualTo(Arrays.copyOfRange(bytes, offset + at, offset + at + SECTOR));
            }
        }
        System.arraycopy(found, 0, bytes, offset, length);
    }

    /** Cuts memory of a length into pieces of any kind and size. */
    private List<MemorySegment> pieces(Arena arena, int length) {
        List<MemorySegment> pieces = new ArrayList<>();
        for (int left = length; left > 0; ) {
            int count = random.nextInt(3) == 0 ? left : 1 + random.nextInt(left);
            pieces.add(
                    switch (random.nextInt(8)) {
                        case 0 -> MemorySegment.ofArray(new byte[count]);
                        case 1 -> Arena.ofAuto().allocate(count);
                        default -> arena.allocate(count, ValueLayout.JAVA_BYTE.byteAlignment());
                    });
            if (random.nextInt(8) == 0) {
                pieces.add(MemorySegment.ofArray(new byte[0]));
            }
            left -= count;
        }
        return pieces;
    }
}
