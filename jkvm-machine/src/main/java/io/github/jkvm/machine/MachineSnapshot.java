package io.github.jkvm.machine;

import io.github.jkvm.machine.snapshot.GuestContents;
import io.github.jkvm.machine.snapshot.SavedMachine;
import io.github.jkvm.machine.snapshot.SnapshotFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Supplier;

/**
 * A machine as it was at one moment: vCPUs, memory, interrupt controllers, clocks and devices. {@link Machine#snapshot()} takes one,
 * {@link Machine#restore} makes any number of machines of it, in this JVM or, after {@link #save}, in another.
 *
 * <p>What the machine's host has is not part of it: the files behind disks, network devices, streams. The guest's memory is kept once; machines restored
 * from it share it, and each has copies of the pages that it writes. So restoring does not take longer for a larger guest.
 *
 * <p>Safe for use by many threads. Machines restored from it go on after it is closed.
 */
public final class MachineSnapshot implements AutoCloseable {
    private final SavedMachine machine;
    private final GuestContents contents;
    private final SnapshotFolder.Verification verification;

    /** Held for reading by all that use the contents, for writing by who closes them. */
    private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();

    private boolean closed;

    private MachineSnapshot(SavedMachine machine, GuestContents contents, SnapshotFolder.Verification verification) {
        this.machine = machine;
        this.contents = contents;
        this.verification = verification;
    }

    static MachineSnapshot inMemory(SavedMachine machine, GuestContents contents) {
        return new MachineSnapshot(machine, contents, List::of);
    }

    /**
     * Opens a snapshot that {@link #save} wrote. The folder may come from anywhere: all that a guest has no business to choose is checked. The contents
     * of the memory are not read before a guest does; {@link #verify()} finds damage in them.
     *
     * @param folder the folder, whose files must stay as they are until this is closed: no machine can be restored from it any more once a newer snapshot
     *     was saved to the folder
     * @return the snapshot, to be closed by the caller
     * @throws java.nio.file.NoSuchFileException if the folder has no snapshot
     * @throws IOException if it can't be read
     * @throws BadSnapshotException if it is damaged or cut short, or was written by a version that this one does not understand; the text names the part
     */
    public static MachineSnapshot open(Path folder) throws IOException {
        SnapshotFolder.Opened opened = SnapshotFolder.open(folder);
        return new MachineSnapshot(opened.machine(), opened.contents(), opened.verification());
    }

    /**
     * Writes the snapshot to a folder, in place of the one that is there, if there is one. The files are on the disk when this returns. Cut short at any
     * moment, also by the end of the process, it leaves the snapshot that was there.
     *
     * @param folder the folder, made if it is not there; files of other names are left alone
     * @throws IOException if it can't be written, or another snapshot is being saved to the folder; the folder then has what it had
     * @throws IllegalStateException if this snapshot is closed
     */
    public void save(Path folder) throws IOException {
        lock.readLock().lock();
        try {
            checkOpen();
            SnapshotFolder.save(folder, machine, contents.bytes());
        } finally {
            lock.readLock().unlock();
        }
    }

    /**
     * Compares the contents of the memory with the checksums that were written with them. A snapshot that was never saved has none, and nothing to find.
     *
     * @throws BadSnapshotException if they differ; the text tells where
     * @throws IllegalStateException if this snapshot is closed
     */
    public void verify() {
        List<String> problems = whileOpen(verification::problems);
        if (!problems.isEmpty()) {
            throw new BadSnapshotException(String.join("; ", problems));
        }
    }

    /**
     * Returns when the snapshot was taken.
     *
     * @return the time, to a millisecond
     */
    public Instant taken() {
        return Instant.ofEpochMilli(machine.shape().takenMillis());
    }

    /**
     * Returns the kind of computer.
     *
     * @return the board
     */
    public Board board() {
        return machine.shape().board();
    }

    /**
     * Returns the size of the guest's memory.
     *
     * @return the size in bytes
     */
    public long memory() {
        return machine.shape().memory();
    }

    /**
     * Returns the number of vCPUs.
     *
     * @return the number, 1 or more
     */
    public int vcpus() {
        return machine.cpus().size();
    }

    /**
     * Returns the devices that were added to the board: a machine restored from this must be given one for each.
     *
     * @return their names, in the order that they were added
     */
    public List<String> devices() {
        return machine.shape().added();
    }

    SavedMachine machine() {
        return machine;
    }

    /** The contents, for code that is run {@link #whileOpen}. */
    GuestContents contents() {
        return contents;
    }

    /** Does something with the contents, which are not closed meanwhile. */
    <T> T whileOpen(Supplier<T> action) {
        lock.readLock().lock();
        try {
            checkOpen();
            return action.get();
        } finally {
            lock.readLock().unlock();
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("this snapshot is closed; open it again, or close it later");
        }
    }

    /** Gives back the memory that the snapshot takes. Closing twice does nothing. */
    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            if (!closed) {
                closed = true;
                contents.close();
            }
        } finally {
            lock.writeLock().unlock();
        }
    }

    /** Returns board, size and time, such as {@code snapshot of a PC with 1 vCPU and 128 MiB, taken 2026-01-01T00:00:00Z}. */
    @Override
    public String toString() {
        return "snapshot of a " + board() + " with " + vcpus() + (vcpus() == 1 ? " vCPU and " : " vCPUs and ")
                + memory() + " bytes, taken " + taken();
    }
}
