package io.github.jkvm.kvm.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory from {@code mmap(2)} as segments. Flags are those of Linux, include/uapi/asm-generic/mman-common.h and mman.h. */
public final class MappedMemory {
    /** Readable. */
    public static final int PROT_READ = 1;

    /** Writable. */
    public static final int PROT_WRITE = 2;

    /** Writes go to the file or to all who share the memory. */
    public static final int MAP_SHARED = 1;

    /** Writes go to private copies of the pages. */
    public static final int MAP_PRIVATE = 2;

    /** No file. */
    public static final int MAP_ANONYMOUS = 0x20;

    /** At the address given, in place of what is mapped there. */
    private static final int MAP_FIXED = 0x10;

    /** Pages are not counted as used before they are touched. */
    public static final int MAP_NORESERVE = 0x4000;

    /** Huge pages, of the size whose logarithm is in the bits from {@link #MAP_HUGE_SHIFT} on. */
    public static final int MAP_HUGETLB = 0x4_0000;

    /** See {@link #MAP_HUGETLB}. */
    public static final int MAP_HUGE_SHIFT = 26;

    /** Advice: give pages back; a mapping of a file then shows the file, another one zeros. */
    public static final int MADV_DONTNEED = 4;

    /** Advice: give pages and what is stored behind them back; the range reads as zeros. For shared mappings. */
    public static final int MADV_REMOVE = 9;

    /** Advice: use transparent huge pages. */
    public static final int MADV_HUGEPAGE = 14;

    private MappedMemory() {}

    /**
     * Opens a lifetime for memory that an object owns, open to all threads.
     *
     * @return the arena, to be closed when the object is
     */
    @SuppressWarnings("MustBeClosed") // its owner's close() closes it
    public static Arena openLifetime() {
        return Arena.ofShared();
    }

    /**
     * Maps memory that is readable and writable and goes back to the host when the arena is closed.
     *
     * @param arena its lifetime; may be open to all threads
     * @param length length in bytes
     * @param flags {@code MAP_*}
     * @param fd the file, or -1 for none
     * @param offset where in the file, in bytes
     * @return the memory
     * @throws MapFailed if the host refuses
     */
    public static MemorySegment map(Arena arena, long length, int flags, int fd, long offset) throws MapFailed {
        long address = Libc.mmap(0, length, PROT_READ | PROT_WRITE, flags, fd, offset);
        if (address < 0) {
            throw new MapFailed((int) -address);
        }
        return attach(arena, address, length);
    }

    /**
     * Maps something else in the place of a part of memory that {@link #map} mapped, and that nobody uses yet. It goes back to the host with the whole.
     *
     * @param memory the memory
     * @param at where the part begins, in bytes
     * @param length length in bytes
     * @param flags {@code MAP_*}
     * @param fd the file
     * @param offset where in the file, in bytes
     * @throws IndexOutOfBoundsException if the part is not inside the memory
     * @throws MapFailed if the host refuses
     */
    public static void mapOver(MemorySegment memory, long at, long length, int flags, int fd, long offset)
            throws MapFailed {
        long address = memory.asSlice(at, length).address();
        long result = Libc.mmap(address, length, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, offset);
        if (result < 0) {
            throw new MapFailed((int) -result);
        }
    }

    /**
     * Maps memory that is readable and writable and stays until {@link #unmap}. For an owner who sees to it that no access is under way
     * then or comes later: an arena open to all threads sees to it too, but its closing makes each thread of the JVM stop.
     *
     * @param length length in bytes
     * @param flags {@code MAP_*}
     * @param fd the file, or -1 for none
     * @return the memory
     * @throws MapFailed if the host refuses
     */
    public static MemorySegment mapUnguarded(long length, int flags, int fd) throws MapFailed {
        long address = Libc.mmap(0, length, PROT_READ | PROT_WRITE, flags, fd, 0);
        if (address < 0) {
            throw new MapFailed((int) -address);
        }
        return attach(address, length);
    }

    /**
     * Gives back what {@link #mapUnguarded} mapped.
     *
     * @param memory the memory, not accessed from now on
     */
    public static void unmap(MemorySegment memory) {
        Libc.munmap(memory.address(), memory.byteSize());
    }

    @SuppressWarnings("restricted") // the two places that make a segment of an address
    private static MemorySegment attach(long address, long length) {
        return MemorySegment.ofAddress(address).reinterpret(length);
    }

    @SuppressWarnings("restricted")
    private static MemorySegment attach(Arena arena, long address, long length) {
        try {
            return MemorySegment.ofAddress(address).reinterpret(length, arena, mapped -> Libc.munmap(address, length));
        } catch (IllegalStateException arenaClosed) {
            Libc.munmap(address, length);
            throw arenaClosed;
        }
    }

    /** The host refused to map memory. The caller knows what for, and tells. */
    public static final class MapFailed extends Exception {
        private static final long serialVersionUID = 1L;

        /** The kernel's answer. */
        private final int errno;

        MapFailed(int errno) {
            super("mmap failed with " + Errno.name(errno), null, false, false);
            this.errno = errno;
        }

        /**
         * Returns the kernel's answer.
         *
         * @return the number, positive
         */
        public int errno() {
            return errno;
        }
    }
}
