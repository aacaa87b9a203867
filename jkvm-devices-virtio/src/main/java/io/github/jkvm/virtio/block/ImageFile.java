package io.github.jkvm.virtio.block;

import io.github.jkvm.kvm.ffi.Errno;
import io.github.jkvm.kvm.ffi.FileSystemStat;
import io.github.jkvm.kvm.ffi.IoVectors;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A file, or anonymous memory that acts like one, with positional scatter and gather from memory where it lies.
 *
 * <p>Not a {@code FileChannel}: that has no positional vectored calls, and is closed for good when a thread that uses it is interrupted.
 */
final class ImageFile implements AutoCloseable {
    /** How much {@link #writeZeroes} writes at once where the file system can't do it itself, in bytes. */
    private static final int ZEROS_BYTES = 64 << 10;

    /** Never written, so it can be shared; never freed, as the class is not. */
    private static final MemorySegment ZEROS =
            Arena.global().allocate(ZEROS_BYTES).asReadOnly();

    /** What is known of the waiting of calls for the storage. */
    enum Waiting {
        /** They never do: all is in memory. */
        NEVER,
        /** They can be told not to: {@link #moveAtOnce}. */
        ON_DEMAND,
        /** They may. */
        UNKNOWN
    }

    private final String name;
    private final OwnedFd fd;
    private final ImageAccess access;
    private volatile Waiting readWaiting;
    private volatile Waiting writeWaiting;

    /** False once the file system said that it can't; asking again would only cost time. */
    private volatile boolean canPunchHoles = true;

    private volatile boolean canZeroRanges = true;

    private volatile @Nullable IOException syncFailure;

    private ImageFile(String name, int fd, ImageAccess access, Waiting waiting) {
        this.name = name;
        this.fd = new OwnedFd(fd, name);
        this.access = access;
        this.readWaiting = waiting;
        this.writeWaiting = waiting;
    }

    /** Opens and locks a file that is there. */
    static ImageFile open(Path path, ImageAccess access) throws IOException {
        if (!Files.exists(path)) {
            throw new NoSuchFileException(path.toString());
        }
        int flags = (access == ImageAccess.READ_ONLY ? Libc.O_RDONLY : Libc.O_RDWR) | Libc.O_CLOEXEC | Libc.O_NONBLOCK;
        int fd;
        try (Arena arena = Arena.ofConfined()) {
            fd = Libc.open(arena.allocateFrom(path.toString()), flags, 0);
        }
        if (fd < 0) {
            throw new FileSystemException(path.toString(), null, "open for " + access + " failed: " + Errno.name(-fd));
        }
        ImageFile file = new ImageFile(path.toString(), fd, access, waiting(fd));
        try {
            // Pipes, sockets and terminals have no size, and are refused here.
            file.length();
            ImageLock.take(file.fd, path, access);
            return file;
        } catch (IOException | RuntimeException e) {
            file.close();
            throw e;
        }
    }

    /** Makes a new file, opens and locks it. */
    static ImageFile create(Path path) throws IOException {
        Files.createFile(path);
        return open(path, ImageAccess.READ_WRITE);
    }

    /** Makes a file that has no name and vanishes when it is closed. */
    static ImageFile createUnnamed(Path directory) throws IOException {
        Path path = Files.createTempFile(directory, "jkvm-", ".tmp");
        try {
            return open(path, ImageAccess.READ_WRITE);
        } finally {
            Files.delete(path);
        }
    }

    /** Makes a sparse file in memory. */
    static ImageFile inMemory(String name) throws IOException {
        int fd;
        try (Arena arena = Arena.ofConfined()) {
            // The only flag of use, MFD_CLOEXEC of linux/memfd.h, is 1.
            fd = Libc.memfd_create(arena.allocateFrom("jkvm-disk"), 1);
        }
        if (fd < 0) {
            throw new IOException(name + ": memfd_create failed: " + Errno.name(-fd));
        }
        return new ImageFile(name, fd, ImageAccess.READ_WRITE, Waiting.NEVER);
    }

    /** Until a call tells more. */
    private static Waiting waiting(int fd) {
        try (Arena arena = Arena.ofConfined()) {
            var stat = new FileSystemStat(arena);
            return stat.read(fd) == 0 && stat.isInMemory() ? Waiting.NEVER : Waiting.ON_DEMAND;
        }
    }

    ImageAccess access() {
        return access;
    }

    boolean isClosed() {
        return fd.isClosed();
    }

    /** Returns the length in bytes; of a block device, its size. */
    long length() throws IOException {
        int number = fd.acquire();
        try {
            return check("lseek", 0, 0, Libc.lseek(number, 0, Libc.SEEK_END));
        } finally {
            fd.release();
        }
    }

    void setLength(long length) throws IOException {
        int number = fd.acquire();
        try {
            check("ftruncate", length, 0, Libc.ftruncate(number, length));
        } finally {
            fd.release();
        }
    }

    /** Reads until the targets are full or the file ends; returns how many bytes there were. */
    long read(long offset, List<MemorySegment> targets) throws IOException {
        return transfer(FileTransfer.READ, offset, targets);
    }

    /** Reads, and takes zeros for what is beyond the end of the file. */
    void readOrZeros(long offset, List<MemorySegment> targets) throws IOException {
        long length = DiskImage.length(targets);
        long done = read(offset, targets);
        if (done < length) {
            SegmentLists.fillWithZeros(SegmentLists.cut(targets, done, length - done));
        }
    }

    /** Reads exactly what the targets have room for. */
    void readFully(long offset, List<MemorySegment> targets) throws IOException {
        long done = read(offset, targets);
        long length = DiskImage.length(targets);
        if (done != length) {
            throw new FileSystemException(
                    name, null, "the file ends after " + done + " of " + length + " bytes at " + offset);
        }
    }

    void write(long offset, List<MemorySegment> sources) throws IOException {
        long done = transfer(FileTransfer.WRITE, offset, sources);
        if (done != DiskImage.length(sources)) {
            throw new FileSystemException(name, null, "only " + done + " bytes were written at " + offset);
        }
    }

    /** Tells what is known of calls of a direction. */
    Waiting waiting(FileTransfer direction) {
        return direction == FileTransfer.READ ? readWaiting : writeWaiting;
    }

    /**
     * Moves all that there are vectors for, in one call that waits for the storage if it must.
     *
     * @return false if that did not succeed, for whatever reason: some or none may have been moved
     */
    boolean moveInOneCall(FileTransfer direction, long offset, IoVectors vectors) {
        return direction.whole(fd, offset, vectors);
    }

    /**
     * The same, but without waiting for the storage.
     *
     * @return false if it would wait, or did not succeed for another reason: some or none may have been moved
     */
    boolean moveAtOnce(FileTransfer direction, long offset, IoVectors vectors) {
        long result = direction.atOnce(fd, offset, vectors);
        if (result == -Errno.EOPNOTSUPP || result == -Errno.ENOSYS) {
            if (direction == FileTransfer.READ) {
                readWaiting = Waiting.UNKNOWN;
            } else {
                writeWaiting = Waiting.UNKNOWN;
            }
        }
        return result == vectors.bytes();
    }

    /**
     * Makes all that was written durable. Once that has failed it always fails: the kernel may have dropped what it could not write, and tells of
     * that only once (fsync(2), "NOTES").
     */
    void sync() throws IOException {
        IOException earlier = syncFailure;
        if (earlier != null) {
            throw new FileSystemException(
                    name, null, "an earlier sync failed, so what is durable is not known: " + earlier.getMessage());
        }
        int number = fd.acquire();
        try {
            int result;
            do {
                result = Libc.fdatasync(number);
            } while (result == -Errno.EINTR);
            check("fdatasync", 0, 0, result);
        } catch (IOException e) {
            syncFailure = e;
            throw e;
        } finally {
            fd.release();
        }
    }

    /** Gives the blocks of a range back; it then reads as zeros. Returns false, and has done nothing, where the file system can't. */
    boolean punchHole(long offset, long length) throws IOException {
        if (canPunchHoles && !fallocate(Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, offset, length)) {
            canPunchHoles = false;
        }
        return canPunchHoles;
    }

    /** Makes a range read as zeros. */
    void writeZeroes(long offset, long length, ZeroMode mode) throws IOException {
        if (length == 0 || (mode == ZeroMode.MAY_UNMAP && punchHole(offset, length))) {
            return;
        }
        if (canZeroRanges) {
            if (fallocate(Libc.FALLOC_FL_ZERO_RANGE | Libc.FALLOC_FL_KEEP_SIZE, offset, length)) {
                return;
            }
            canZeroRanges = false;
        }
        fillWithZeros(offset, length);
    }

    /** Writes zeros as data. */
    void fillWithZeros(long offset, long length) throws IOException {
        for (long done = 0; done < length; ) {
            long count = Math.min(ZEROS.byteSize(), length - done);
            write(offset + done, List.of(ZEROS.asSlice(0, count)));
            done += count;
        }
    }

    /** Lets go of the file after the calls under way. Closing twice does nothing. */
    @Override
    public void close() {
        fd.close();
    }

    @Override
    public String toString() {
        return name;
    }

    private long transfer(FileTransfer direction, long offset, List<MemorySegment> segments) throws IOException {
        long total = 0;
        int at = 0;
        long skip = 0;
        while (at < segments.size()) {
            long size = segments.get(at).byteSize();
            if (skip >= size) {
                skip -= size;
                at++;
                continue;
            }
            long count = direction.once(fd, offset + total, segments, at, skip);
            if (count == 0) {
                break;
            }
            if (count != -Errno.EINTR) {
                total += check(direction.toString(), offset + total, size - skip, count);
                skip += count;
            }
        }
        return total;
    }

    private boolean fallocate(int mode, long offset, long length) throws IOException {
        int number = fd.acquire();
        try {
            int result;
            do {
                result = Libc.fallocate(number, mode, offset, length);
            } while (result == -Errno.EINTR);
            if (result == -Errno.EOPNOTSUPP || result == -Errno.ENOSYS || result == -Errno.ENODEV) {
                return false;
            }
            check("fallocate", offset, length, result);
            return true;
        } finally {
            fd.release();
        }
    }

    private long check(String operation, long offset, long length, long result) throws IOException {
        if (result < 0) {
            throw new FileSystemException(
                    name,
                    null,
                    operation + " of " + length + " bytes at " + offset + " failed: " + Errno.name((int) -result));
        }
        return result;
    }
}
