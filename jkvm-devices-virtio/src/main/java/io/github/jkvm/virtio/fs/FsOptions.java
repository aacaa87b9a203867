package io.github.jkvm.virtio.fs;

import java.time.Duration;
import java.util.Objects;

/**
 * How a folder is shared with a guest.
 *
 * <p>What a guest reaches:
 *
 * <ul>
 *   <li>The files beneath the folder, in the mount that the folder is in. A mount point inside answers {@code EXDEV}. Symbolic links are
 *       shown, and the guest follows them in its own tree; the host never does.
 *   <li>FIFOs, sockets and device nodes are shown, and never opened on the host. The guest can make FIFOs and sockets, not device nodes
 *       ({@code EPERM}).
 *   <li>Extended attributes of the namespace {@code user}; for the others it is told {@code EOPNOTSUPP}.
 * </ul>
 *
 * <p>A file that the host moves out of the folder stays in the guest's reach for as long as the guest has it open or its descriptor is kept
 * ({@link #withCachedDescriptors}), and so do the files beneath a folder that is moved out. After that, the guest is told {@code ESTALE}.
 * So it is for a file that the host renames, until the guest looks its new path up, which a guest's kernel does by itself.
 *
 * <p>A program of the host that follows links a guest has made, or runs files it has written, is outside of this protection.
 *
 * <p>The guest's kernel checks permissions, and the guest's root may do anything in the folder that the JVM's user may. If the JVM runs as
 * root, new files belong to the user and group that made them in the guest; if not, to the JVM's user, and the guest can't give files
 * away ({@code EPERM}).
 *
 * <p>Immutable.
 */
public final class FsOptions {
    /** Whether the guest can change what is in the folder. */
    public enum Access {
        /** Every change is answered with {@code EROFS}. */
        READ_ONLY,
        /** Changes are made. */
        READ_WRITE
    }

    /** What becomes of the permission bits that let a program run as its file's owner or group. */
    public enum SetIdBits {
        /** The guest can't set them: they are left out, as from a program's file on a mount without them. Folders keep theirs. */
        DROPPED,
        /**
         * The guest can set them. If the JVM runs as root, a hostile guest can then leave a program in the folder that any user of the host who
         * can reach it runs as root.
         */
        KEPT
    }

    private static final int FEWEST_FILES = 2;
    private static final int MOST_FILES = 1 << 24;
    private static final int USUAL_FILES = 1 << 20;

    /** A descriptor of a place keeps about 1 KiB of the host's kernel occupied, which it could not take back. */
    private static final int MOST_CACHED = 1 << 14;

    private static final int MOST_WORKERS = 64;
    private static final int MOST_QUEUES = 64;

    private final Access access;
    private final SetIdBits setIdBits;
    private final Duration cacheTime;
    private final int maxFiles;
    private final int maxOpenFiles;
    private final int cachedDescriptors;
    private final int workers;
    private final int requestQueues;

    private FsOptions(
            Access access,
            SetIdBits setIdBits,
            Duration cacheTime,
            int maxFiles,
            int maxOpenFiles,
            int cachedDescriptors,
            int workers,
            int requestQueues) {
        this.access = Objects.requireNonNull(access, "access");
        this.setIdBits = Objects.requireNonNull(setIdBits, "setIdBits");
        this.cacheTime = Objects.requireNonNull(cacheTime, "cacheTime");
        this.maxFiles = maxFiles;
        this.maxOpenFiles = maxOpenFiles;
        this.cachedDescriptors = cachedDescriptors;
        this.workers = workers;
        this.requestQueues = requestQueues;
        if (cacheTime.isNegative() || cacheTime.compareTo(Duration.ofDays(365)) > 0) {
            throw new IllegalArgumentException("cache time " + cacheTime + " must be from 0 to 365 days");
        }
        checkRange("number of files", maxFiles, FEWEST_FILES, MOST_FILES);
        checkRange("number of open files", maxOpenFiles, 1, MOST_FILES);
        checkRange("number of cached descriptors", cachedDescriptors, 1, MOST_FILES);
        checkRange("number of workers", workers, 1, MOST_WORKERS);
        checkRange("number of request queues", requestQueues, 1, MOST_QUEUES);
    }

    private static void checkRange(String what, int value, int least, int most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(what + " " + value + " must be from " + least + " to " + most);
        }
    }

    /**
     * Returns the options of a folder that the guest can only read.
     *
     * @return options with the defaults for the rest
     */
    public static FsOptions readOnly() {
        return defaults(Access.READ_ONLY);
    }

    /**
     * Returns the options of a folder that the guest can read and change.
     *
     * @return options with the defaults for the rest
     */
    public static FsOptions readWrite() {
        return defaults(Access.READ_WRITE);
    }

    private static FsOptions defaults(Access access) {
        int descriptors = HostLimits.openFiles();
        return new FsOptions(
                access,
                SetIdBits.DROPPED,
                Duration.ofSeconds(1),
                Math.clamp(Runtime.getRuntime().maxMemory() / 4 / Inode.MOST_BYTES, FEWEST_FILES, USUAL_FILES),
                Math.clamp(descriptors / 8, 1, MOST_FILES),
                Math.clamp(descriptors / 4, 1, MOST_CACHED),
                4,
                1);
    }

    /**
     * Sets what becomes of the bits that let a program run as its owner; {@link SetIdBits#DROPPED} if not called.
     *
     * @param bits what becomes of them
     * @return changed options
     */
    public FsOptions withSetIdBits(SetIdBits bits) {
        return new FsOptions(
                access, bits, cacheTime, maxFiles, maxOpenFiles, cachedDescriptors, workers, requestQueues);
    }

    /**
     * Sets how long the guest's kernel may go on using names and attributes that it was told; 1 second if not called. Longer is faster; a
     * change that the host makes is seen after that time at the latest, with 0 at once.
     *
     * @param time from 0 to 365 days
     * @return changed options
     * @throws IllegalArgumentException if it is out of range
     */
    public FsOptions withCacheTime(Duration time) {
        return new FsOptions(
                access, setIdBits, time, maxFiles, maxOpenFiles, cachedDescriptors, workers, requestQueues);
    }

    /**
     * Sets how many files the guest's kernel can know at a time; it is told {@code ENFILE} beyond. A kernel forgets a file only when it needs
     * the memory, so this is about the number of files that the guest walks through. Each takes about 150 bytes of the Java heap, at most 400
     * with the longest name, and no descriptor. 1,048,576 if not called, or as many as fit a quarter of the heap.
     *
     * @param files from 2 to 16,777,216
     * @return changed options
     * @throws IllegalArgumentException if it is out of range
     */
    public FsOptions withMaxFiles(int files) {
        return new FsOptions(
                access, setIdBits, cacheTime, files, maxOpenFiles, cachedDescriptors, workers, requestQueues);
    }

    /**
     * Sets how many files and folders the guest can have open at a time; it is told {@code ENFILE} beyond. Each takes two descriptors of the
     * JVM's process. An eighth of the descriptors that the process may have ({@code ulimit -n}) if not called.
     *
     * @param files from 1 to 16,777,216
     * @return changed options
     * @throws IllegalArgumentException if it is out of range
     */
    public FsOptions withMaxOpenFiles(int files) {
        return new FsOptions(access, setIdBits, cacheTime, maxFiles, files, cachedDescriptors, workers, requestQueues);
    }

    /**
     * Sets how many descriptors are kept of files that the guest knows and has not open, so that the next request about one need not look for
     * it. A file without one is found again by its name in its folder, and known by its number and by the time it was made. Where the
     * file system does not tell that time (a 9P or FUSE mount of the host, tmpfs before Linux 5.18), files keep their descriptors, and the
     * guest can know only as many as this. A quarter of the descriptors that the process may have if not called, 16,384 at most.
     *
     * @param descriptors from 1 to 16,777,216
     * @return changed options
     * @throws IllegalArgumentException if it is out of range
     */
    public FsOptions withCachedDescriptors(int descriptors) {
        return new FsOptions(access, setIdBits, cacheTime, maxFiles, maxOpenFiles, descriptors, workers, requestQueues);
    }

    /**
     * Sets how many requests the host works on at a time, each in a thread; 4 if not called.
     *
     * @param threads from 1 to 64
     * @return changed options
     * @throws IllegalArgumentException if it is out of range
     */
    public FsOptions withWorkers(int threads) {
        return new FsOptions(
                access, setIdBits, cacheTime, maxFiles, maxOpenFiles, cachedDescriptors, threads, requestQueues);
    }

    /**
     * Sets how many request queues the device has (virtio 1.2, 5.11.4); 1 if not called.
     *
     * @param queues from 1 to 64
     * @return changed options
     * @throws IllegalArgumentException if it is out of range
     */
    public FsOptions withRequestQueues(int queues) {
        return new FsOptions(access, setIdBits, cacheTime, maxFiles, maxOpenFiles, cachedDescriptors, workers, queues);
    }

    Access access() {
        return access;
    }

    SetIdBits setIdBits() {
        return setIdBits;
    }

    Duration cacheTime() {
        return cacheTime;
    }

    int maxFiles() {
        return maxFiles;
    }

    int maxOpenFiles() {
        return maxOpenFiles;
    }

    int cachedDescriptors() {
        return cachedDescriptors;
    }

    int workers() {
        return workers;
    }

    int requestQueues() {
        return requestQueues;
    }
}
