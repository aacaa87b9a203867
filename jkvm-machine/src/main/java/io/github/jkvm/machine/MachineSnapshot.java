package io.github.jkvm.machine;

import io.github.jkvm.machine.snapshot.GuestContents;
import io.github.jkvm.machine.snapshot.SavedMachine;
import io.github.jkvm.machine.snapshot.SnapshotFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Supplier;

/**
 * A machine as it was at one moment: vCPUs, memory, interrupt controllers, clocks and devices. {@link Machine#snapshot()} takes one,
 * {@link Machine#restore} makes any number of machines of it, in this JVM or, after {@link #save}, in another.
 *
 * <p>What the machine's host has is not part of it: the files behind disks, network devices, streams. The guest's memory is kept once; machines restored
 * from it share it, and each has copies of the pages that it writes. So restoring does not take longer for a larger guest. {@link Machine#snapshot(MachineSnapshot)}
 * takes one that keeps only what was written since another; it keeps that one's memory, too, whether it is closed or not.
 *
 * <p>Safe for use by many threads. Machines restored from it go on after it is closed.
 */
public final class MachineSnapshot implements AutoCloseable {
    private final SavedMachine machine;
    private final GuestContents contents;

    /** Held for reading by all that use the contents, for writing by who closes them. */
    private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();

    private boolean closed;

    MachineSnapshot(SavedMachine machine, GuestContents contents) {
        this.machine = machine;
        this.contents = contents;
    }

    /**
     * Opens a snapshot that {@link #save} wrote, or one that {@link #saveIncrement} wrote together with those that it builds on. The folders may come from
     * anywhere: all that a guest has no business to choose is checked, and that each increment builds on the very snapshot before it. The contents of
     * the memory are not read before a guest does; {@link #verify()} finds damage in them.
     *
     * @param folder the folder of a whole snapshot; its files must not be changed until this is closed, nor while a machine restored from it is there, but
     *     a newer snapshot may be saved to it
     * @param increments the folders of the increments up to the one that is wanted, in order, each building on the one before
     * @return the last of these snapshots, to be closed by the caller
     * @throws java.nio.file.NoSuchFileException if a folder has no snapshot
     * @throws IOException if one can't be read
     * @throws BadSnapshotException if one is damaged or cut short, was written by a version that this one does not understand, or does not build on the
     *     one before; the text names the folder and the part
     */
    public static MachineSnapshot open(Path folder, Path... increments) throws IOException {
        List<Path> folders = new ArrayList<>(List.of(increments));
        folders.addFirst(folder);
        SnapshotFolder.Opened opened = SnapshotFolder.open(folders);
        return new MachineSnapshot(opened.machine(), opened.contents());
    }

    /**
     * Writes the snapshot to a folder, in place of the one that is there, if there is one. What is written is whole: of an increment it also has what the
     * snapshots below have, and needs these no more. Increments that were saved above it can then be opened upon it as before. The files are on the disk
     * when this returns. Cut short at any moment, also by the end of the process, it leaves the snapshot that was there.
     *
     * @param folder the folder, made if it is not there; files of other names are left alone
     * @throws IOException if it can't be written, or another snapshot is being saved to the folder; the folder then has what it had
     * @throws BadSnapshotException if this is an increment that was opened, and something of it or below is damaged
     * @throws IllegalStateException if this snapshot is closed
     */
    public void save(Path folder) throws IOException {
        save(folder, SnapshotFolder.Extent.WHOLE);
    }

    /**
     * Writes the snapshot to a folder as {@link #save} does, but of the memory only what is not as in its base. To {@link #open} it takes the folders of the
     * snapshots below, too; it has the id and a checksum of the one right below, which may have been saved before or be saved later.
     *
     * @param folder the folder, made if it is not there
     * @throws IOException if it can't be written, another snapshot is being saved to the folder, or the folder has a snapshot that this one builds on; the
     *     folder then has what it had
     * @throws IllegalStateException if this snapshot is whole, or closed
     */
    public void saveIncrement(Path folder) throws IOException {
        if (depth() == 0) {
            throw new IllegalStateException("this snapshot builds on no other; save it whole with save()");
        }
        save(folder, SnapshotFolder.Extent.INCREMENT);
    }

    private void save(Path folder, SnapshotFolder.Extent extent) throws IOException {
        lock.readLock().lock();
        try {
            checkOpen();
            SnapshotFolder.save(folder, machine, contents.layer(), extent);
        } finally {
            lock.readLock().unlock();
        }
    }

    /**
     * Compares the contents of the memory with the checksums that were written with them, also those of the snapshots below. A snapshot that was never saved
     * has none, and nothing to find.
     *
     * @throws BadSnapshotException if they differ; the text tells where
     * @throws IllegalStateException if this snapshot is closed
     */
    public void verify() {
        List<String> problems = whileOpen(() -> contents.layer().problems());
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

    /**
     * Returns the snapshot's name, which stays with it wherever it is saved.
     *
     * @return a name that no other snapshot has
     */
    public String id() {
        return contents.layer().id();
    }

    /**
     * Returns how many snapshots this one builds on.
     *
     * @return the number; 0 if it is whole
     */
    public int depth() {
        return contents.layer().depth();
    }

    /**
     * Returns how much memory the snapshot keeps itself: of an increment, what is not as in its base.
     *
     * @return the size in bytes, a multiple of a page's
     */
    public long ownMemory() {
        return contents.layer().ownBytes();
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
