package io.github.jkvm.kvm;

import io.github.jkvm.HostPages;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.MappedMemory;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The host's memory behind one region of the guest, with a lifetime of its own, since regions come and go.
 *
 * @param arena the lifetime
 * @param segment the memory
 * @param file the memfd or shared file behind it, if another process could map it too
 * @param pages what can be done with its pages
 */
record HostMemory(
        Arena arena, MemorySegment segment, @Nullable OwnedFd file, HostPages pages) {
    private static final System.Logger LOG = System.getLogger(HostMemory.class.getName());

    // Linux, include/uapi/asm-generic/fcntl.h and linux/memfd.h.
    private static final int MFD_CLOEXEC = 1;
    private static final int MFD_HUGETLB = 4;

    /** From this size on, fewer page faults and TLB misses outweigh that a touched byte takes 2 MiB of the host. */
    private static final long TRANSPARENT_HUGE_PAGES_FROM = 64L << 20;

    private static final long CLOSE_PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(10);
    private static final long CLOSE_RETRY_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

    static HostMemory of(MemoryBacking backing) {
        return switch (backing) {
            case MemoryBacking.Anonymous anonymous -> anonymous(anonymous);
            case MemoryBacking.Memfd memfd -> memfd(memfd);
            case MemoryBacking.File file -> file(file);
            case MemoryBacking.Copy copy -> copy(copy, copy, List.of());
            case MemoryBacking.Layered layered -> copy(layered, layered.bottom(), layered.layers());
        };
    }

    /** A whole file, as private copies of its pages; the file stays open for others to map. */
    static HostMemory ofFile(Path path) {
        OwnedFd file = open(path, Libc.O_RDONLY);
        try {
            var backing = MemoryBacking.copyOnWriteFile(path, 0, sizeOf(path, file));
            return map(backing, MappedMemory.MAP_PRIVATE | MappedMemory.MAP_NORESERVE, file, 0);
        } catch (RuntimeException | Error failure) {
            file.close();
            throw failure;
        }
    }

    private static HostMemory anonymous(MemoryBacking.Anonymous backing) {
        int flags = MappedMemory.MAP_PRIVATE | MappedMemory.MAP_ANONYMOUS;
        if (backing.pageSize() != MemoryBacking.HOST_PAGES) {
            HugePages.check(backing.size(), backing.pageSize());
            // No MAP_NORESERVE: without a reservation a missing page would be a fatal signal when it is touched.
            return map(backing, flags | MappedMemory.MAP_HUGETLB | HugePages.sizeFlag(backing.pageSize()), null, 0);
        }
        HostMemory memory = map(backing, flags | MappedMemory.MAP_NORESERVE, null, 0);
        if (backing.size() >= TRANSPARENT_HUGE_PAGES_FROM) {
            // Advice: a host without transparent huge pages refuses it, and all is as it would have been.
            Libc.madvise(memory.segment, MappedMemory.MADV_HUGEPAGE);
        }
        return memory;
    }

    private static HostMemory memfd(MemoryBacking.Memfd backing) {
        int flags = MFD_CLOEXEC;
        if (backing.pageSize() != MemoryBacking.HOST_PAGES) {
            HugePages.check(backing.size(), backing.pageSize());
            flags |= MFD_HUGETLB | HugePages.sizeFlag(backing.pageSize());
        }
        int fd;
        try (Arena temporary = Arena.ofConfined()) {
            fd = Libc.memfd_create(temporary.allocateFrom(backing.name()), flags);
        }
        if (fd < 0) {
            throw KvmException.of("memfd_create", "'" + backing.name() + "'", -fd);
        }
        OwnedFd file = new OwnedFd(fd, "memfd " + backing.name());
        try {
            int result = Libc.ftruncate(fd, backing.size());
            if (result < 0) {
                throw KvmException.of("ftruncate", file + ", " + backing.size() + " bytes", -result);
            }
            return map(backing, MappedMemory.MAP_SHARED, file, 0);
        } catch (RuntimeException | Error failure) {
            file.close();
            throw failure;
        }
    }

    private static HostMemory file(MemoryBacking.File backing) {
        boolean shared = backing.sharing() == MemoryBacking.Sharing.SHARED;
        OwnedFd file = open(backing.path(), shared ? Libc.O_RDWR : Libc.O_RDONLY);
        try {
            checkInside(backing, file);
            if (shared) {
                return map(backing, MappedMemory.MAP_SHARED, file, backing.offset());
            }
            HostMemory memory =
                    map(backing, MappedMemory.MAP_PRIVATE | MappedMemory.MAP_NORESERVE, file, backing.offset());
            // The mapping keeps the file; nobody can be given the private copies.
            file.close();
            return new HostMemory(memory.arena, memory.segment, null, MappedPages.of(backing, memory.segment, null));
        } catch (RuntimeException | Error failure) {
            file.close();
            throw failure;
        }
    }

    private static HostMemory copy(MemoryBacking whole, MemoryBacking.Copy bottom, List<MemoryBacking.Layer> layers) {
        int flags = MappedMemory.MAP_PRIVATE | MappedMemory.MAP_NORESERVE;
        HostMemory memory = map(bottom, flags, fileOf(bottom), bottom.offset());
        try {
            for (MemoryBacking.Layer layer : layers) {
                mapOver(memory.segment, layer, flags);
            }
        } catch (RuntimeException | Error failure) {
            memory.arena.close();
            throw failure;
        }
        // The files stay the images'; the mapping keeps their pages.
        return new HostMemory(memory.arena, memory.segment, null, MappedPages.of(whole, memory.segment, null));
    }

    private static void mapOver(MemorySegment memory, MemoryBacking.Layer layer, int flags) {
        MemoryBacking.Copy contents = layer.contents();
        OwnedFd file = fileOf(contents);
        int fd = file.acquire();
        try {
            MappedMemory.mapOver(memory, layer.at(), contents.size(), flags, fd, contents.offset());
        } catch (MappedMemory.MapFailed refused) {
            throw new KvmException("mmap", layer.toString(), refused.errno(), hint(refused.errno()));
        } finally {
            file.release();
        }
    }

    private static OwnedFd fileOf(MemoryBacking.Copy backing) {
        if (backing.image() instanceof KvmMemoryImage image) {
            return image.file();
        }
        throw new IllegalArgumentException("image " + backing.image()
                + " was not made by KVM on this host; create it with the hypervisor whose memory begins as its copy");
    }

    private static OwnedFd open(Path path, int access) {
        if (!path.getFileSystem().equals(FileSystems.getDefault())) {
            throw new IllegalArgumentException("memory file " + path + " is not on the host's file system ("
                    + path.getFileSystem() + "); copy it there");
        }
        int fd;
        try (Arena temporary = Arena.ofConfined()) {
            fd = Libc.open(temporary.allocateFrom(path.toString()), access | Libc.O_CLOEXEC, 0);
        }
        if (fd >= 0) {
            return new OwnedFd(fd, path.toString());
        }
        String wanted = access == Libc.O_RDWR ? "read and written" : "read";
        throw new KvmException(
                "open", path.toString(), -fd, "a file behind guest memory must exist and may be " + wanted + " by us");
    }

    /** What lies past the end of a file can be mapped, but touching it is a fatal signal. */
    private static void checkInside(MemoryBacking.File backing, OwnedFd file) {
        long size = sizeOf(backing.path(), file);
        if (backing.offset() + backing.size() > size) {
            throw new IllegalArgumentException("memory of " + backing.size() + " bytes from offset " + backing.offset()
                    + " of " + backing.path() + " passes the end of the file, which has " + size
                    + " bytes; extend the file or map less");
        }
    }

    private static long sizeOf(Path path, OwnedFd file) {
        long size = Libc.lseek(file.acquire(), 0, Libc.SEEK_END);
        file.release();
        if (size < 0) {
            throw KvmException.of("lseek", path.toString(), (int) -size);
        }
        return size;
    }

    private static HostMemory map(MemoryBacking backing, int flags, @Nullable OwnedFd file, long offset) {
        Arena arena = MappedMemory.openLifetime();
        try {
            int fd = file == null ? -1 : file.acquire();
            try {
                MemorySegment segment = MappedMemory.map(arena, backing.size(), flags, fd, offset);
                var shared = file == null ? null : new HostPages.SharedFile(file, offset);
                return new HostMemory(arena, segment, file, MappedPages.of(backing, segment, shared));
            } finally {
                if (file != null) {
                    file.release();
                }
            }
        } catch (MappedMemory.MapFailed refused) {
            arena.close();
            throw new KvmException("mmap", backing.toString(), refused.errno(), hint(refused.errno()));
        }
    }

    private static String hint(int errno) {
        return switch (errno) {
            case Errno.ENOMEM ->
                "the host can't give this much; see 'ulimit -v', 'sysctl vm.overcommit_memory vm.max_map_count' and for"
                        + " huge pages those that are free in " + HugePages.FOLDER;
            case Errno.EINVAL -> "size and offset must be multiples of the page size, and not 0";
            case Errno.EACCES, Errno.EPERM -> "the file may not be mapped; see its permissions and mount options";
            case Errno.ENODEV -> "this kind of file can't be mapped";
            default -> "see the manual page mmap(2)";
        };
    }

    /** Gives the memory back. Waits for calls that use it, such as a read from a channel; those end by themselves. */
    void close() {
        long giveUp = System.nanoTime() + CLOSE_PATIENCE_NANOS;
        while (true) {
            try {
                arena.close();
                break;
            } catch (IllegalStateException inUse) {
                if (System.nanoTime() - giveUp >= 0) {
                    throw new HypervisorException(
                            "guest memory " + segment + " is still in use by a call after "
                                    + TimeUnit.NANOSECONDS.toSeconds(CLOSE_PATIENCE_NANOS)
                                    + " s; end reads and writes of channels into it before it is removed",
                            inUse);
                }
                LockSupport.parkNanos(CLOSE_RETRY_NANOS);
            }
        }
        if (file != null) {
            file.close();
        }
    }

    /** Gives the memory back where there is nobody to tell that it can't be. */
    void closeQuietly() {
        try {
            close();
        } catch (HypervisorException stillInUse) {
            LOG.log(System.Logger.Level.WARNING, "guest memory is not given back to the host", stillInUse);
        }
    }
}
