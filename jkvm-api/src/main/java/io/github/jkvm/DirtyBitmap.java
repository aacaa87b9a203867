package io.github.jkvm;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/** One bit for each page of a region, set by any thread, taken by one. */
final class DirtyBitmap {
    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);
    private static final int PAGE_SHIFT = Long.numberOfTrailingZeros(DirtyPages.PAGE_SIZE);

    private final long[] words;

    DirtyBitmap(long size) {
        long pages = (size + DirtyPages.PAGE_SIZE - 1) >>> PAGE_SHIFT;
        words = new long[Math.toIntExact((pages + Long.SIZE - 1) / Long.SIZE)];
    }

    void mark(long offset, long length) {
        if (length == 0) {
            return;
        }
        long last = (offset + length - 1) >>> PAGE_SHIFT;
        for (long page = offset >>> PAGE_SHIFT; page <= last; page++) {
            int word = (int) (page >>> 6);
            long bit = 1L << page;
            // Most writes fall on pages already marked: look before the atomic update.
            if (((long) WORD.getOpaque(words, word) & bit) == 0) {
                WORD.getAndBitwiseOr(words, word, bit);
            }
        }
    }

    DirtyPages take() {
        long[] taken = new long[words.length];
        for (int i = 0; i < words.length; i++) {
            if ((long) WORD.getOpaque(words, i) != 0) {
                taken[i] = (long) WORD.getAndSet(words, i, 0L);
            }
        }
        return DirtyPages.ofBits(taken);
    }
}
