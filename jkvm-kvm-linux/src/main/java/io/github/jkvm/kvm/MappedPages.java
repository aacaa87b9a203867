package io.github.jkvm.kvm;

import io.github.jkvm.DirtyPages;
import io.github.jkvm.HostPages;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.MappedMemory;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The host's side of memory that was mapped.
 *
 * @param segment the memory
 * @param pageSize size of the pages it is made of, in bytes, a power of two
 * @param advice what gives pages back: {@code MADV_*}
 * @param remains what is left then
 * @param shared the file that others can map too, or null
 */
record MappedPages(
        MemorySegment segment,
        long pageSize,
        int advice,
        Remains remains,
        @Nullable SharedFile shared) implements HostPages {
    private static final System.Logger LOG = System.getLogger(MappedPages.class.getName());

    static MappedPages of(MemoryBacking backing, MemorySegment segment, @Nullable SharedFile shared) {
        return switch (backing) {
            case MemoryBacking.Anonymous anonymous ->
                new MappedPages(segment, size(anonymous.pageSize()), MappedMemory.MADV_DONTNEED, Remains.ZEROS, shared);
            // The pages are the file's: as long as it has them, letting go of the mapping gives nothing back.
            case MemoryBacking.Memfd memfd ->
                new MappedPages(segment, size(memfd.pageSize()), MappedMemory.MADV_REMOVE, Remains.ZEROS, shared);
            // What a user keeps in a file or an image is not the guest's to throw away.
            case MemoryBacking.File _, MemoryBacking.Copy _, MemoryBacking.Layered _ ->
                new MappedPages(
                        segment,
                        size(MemoryBacking.HOST_PAGES),
                        MappedMemory.MADV_DONTNEED,
                        Remains.FILE_CONTENTS,
                        shared);
        };
    }

    private static long size(long pageSize) {
        return pageSize == MemoryBacking.HOST_PAGES ? Libc.getpagesize() : pageSize;
    }

    @Override
    public long discard(long offset, long length) {
        long start = (offset + pageSize - 1) & -pageSize;
        long end = (offset + length) & -pageSize;
        if (start >= end) {
            return 0;
        }
        int result = Libc.madvise(segment.asSlice(start, end - start), advice);
        if (result < 0) {
            LOG.log(Level.DEBUG, "the host keeps {0} bytes of guest memory: {1}", end - start, Errno.name(-result));
            return 0;
        }
        return end - start;
    }

    @Override
    public Optional<DirtyPages> changed() {
        // Pages of a file that others can map are not this process's copies, whoever wrote them.
        return shared == null && pageSize == DirtyPages.PAGE_SIZE ? PageMap.privatePages(segment) : Optional.empty();
    }

    @Override
    public Optional<SharedFile> sharedFile() {
        return Optional.ofNullable(shared);
    }
}
