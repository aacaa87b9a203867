package io.github.jkvm.testkit.scripted;

import io.github.jkvm.DirtyPages;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.MemoryRegion;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.IdentityHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** The memory of one VM: memory of this process, and mapped files. */
final class ScriptedMemory {
    private static final Logger LOG = System.getLogger(ScriptedMemory.class.getName());
    private static final long PAGE_SIZE = DirtyPages.PAGE_SIZE;
    private static final long CLOSE_PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(10);
    private static final long CLOSE_RETRY_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

    private final GuestMemory memory = new GuestMemory();
    private final int limit;
    private final IdentityHashMap<MemoryRegion, Slot> slots = new IdentityHashMap<>();
    private boolean closed;

    private static final class Slot {
        final Arena arena;
        boolean logged;

        Slot(Arena arena) {
            this.arena = arena;
        }
    }

    ScriptedMemory(int limit) {
        this.limit = limit;
    }

    GuestMemory memory() {
        return memory;
    }

    synchronized MemoryRegion add(GuestAddress base, MemoryBacking backing, MemoryRegion.Access access) {
        checkAligned("guest-physical address", base.value(), base.toString());
        checkAligned("size", backing.size(), Long.toString(backing.size()));
        if (backing instanceof MemoryBacking.File file) {
            checkAligned("file offset", file.offset(), Long.toString(file.offset()));
        }
        checkOpen();
        memory.checkFree(base, backing.size());
        if (slots.size() >= limit) {
            throw new HypervisorException("this hypervisor allows " + limit
                    + " memory regions in a VM and all are in use; remove one or make fewer, larger ones");
        }
        @SuppressWarnings("MustBeClosed") // closed with the region
        Arena arena = Arena.ofShared();
        try {
            MemoryRegion region = MemoryRegion.of(base, map(backing, arena), access);
            memory.add(region);
            slots.put(region, new Slot(arena));
            return region;
        } catch (RuntimeException | Error failure) {
            arena.close();
            throw failure;
        }
    }

    static MemoryImage createImage(long size, String name) {
        // Checks name and size as for memory with a name.
        checkAligned("image size", MemoryBacking.memfd(size, name).size(), Long.toString(size));
        @SuppressWarnings("MustBeClosed") // closed with the image
        Arena arena = Arena.ofShared();
        try {
            return new Image(name, arena, allocate(size, arena));
        } catch (RuntimeException | Error failure) {
            arena.close();
            throw failure;
        }
    }

    static MemoryImage openImage(Path file) {
        @SuppressWarnings("MustBeClosed") // closed with the image
        Arena arena = Arena.ofShared();
        try {
            long size = sizeOf(file);
            checkAligned("image size", size, size + " of " + file);
            var whole = new MemoryBacking.File(file, 0, size, MemoryBacking.Sharing.COPY_ON_WRITE);
            return new Image(file.toString(), arena, open(whole, MapMode.READ_ONLY, arena, StandardOpenOption.READ));
        } catch (RuntimeException | Error failure) {
            arena.close();
            throw failure;
        }
    }

    private static long sizeOf(Path file) {
        try {
            return Files.size(file);
        } catch (IOException refused) {
            throw new HypervisorException("file " + file + " can't be read (" + refused + ")", refused);
        }
    }

    private record Image(String name, Arena arena, MemorySegment segment) implements MemoryImage {
        @Override
        public long size() {
            return segment.byteSize();
        }

        @Override
        public void close() {
            if (arena.scope().isAlive()) {
                arena.close();
            }
        }
    }

    private static MemorySegment map(MemoryBacking backing, Arena arena) {
        return switch (backing) {
            case MemoryBacking.Anonymous _, MemoryBacking.Memfd _ -> allocate(backing.size(), arena);
            case MemoryBacking.Copy copy -> allocate(copy.size(), arena).copyFrom(contents(copy));
            case MemoryBacking.Layered layered -> {
                MemorySegment memory = allocate(layered.size(), arena).copyFrom(contents(layered.bottom()));
                for (MemoryBacking.Layer layer : layered.layers()) {
                    memory.asSlice(layer.at(), layer.contents().size()).copyFrom(contents(layer.contents()));
                }
                yield memory;
            }
            case MemoryBacking.File file -> map(file, arena);
        };
    }

    private static MemorySegment contents(MemoryBacking.Copy copy) {
        return copy.image().segment().asSlice(copy.offset(), copy.size());
    }

    private static MemorySegment map(MemoryBacking.File file, Arena arena) {
        return switch (file.sharing()) {
            case SHARED -> open(file, MapMode.READ_WRITE, arena, StandardOpenOption.READ, StandardOpenOption.WRITE);
            case COPY_ON_WRITE -> {
                // The JDK maps private copies of writable files only, and these may be read-only.
                try (Arena temporary = Arena.ofConfined()) {
                    MemorySegment contents = open(file, MapMode.READ_ONLY, temporary, StandardOpenOption.READ);
                    yield allocate(file.size(), arena).copyFrom(contents);
                }
            }
        };
    }

    private static MemorySegment allocate(long size, Arena arena) {
        try {
            return arena.allocate(size, PAGE_SIZE);
        } catch (OutOfMemoryError | IllegalArgumentException tooMuch) {
            throw new HypervisorException(
                    "memory of " + size
                            + " bytes can't be had: a scripted VM's memory is all there from the start and counts as direct memory of the"
                            + " JVM; use less, or raise -XX:MaxDirectMemorySize",
                    tooMuch);
        }
    }

    private static MemorySegment open(
            MemoryBacking.File file, MapMode mode, Arena arena, StandardOpenOption... options) {
        try (FileChannel channel = FileChannel.open(file.path(), options)) {
            if (file.offset() + file.size() > channel.size()) {
                throw new IllegalArgumentException("memory of " + file.size() + " bytes from offset " + file.offset()
                        + " of " + file.path() + " passes the end of the file, which has " + channel.size()
                        + " bytes; extend the file or map less");
            }
            return channel.map(mode, file.offset(), file.size(), arena);
        } catch (IOException | UnsupportedOperationException refused) {
            throw new HypervisorException(
                    "memory of " + file.size() + " bytes from offset " + file.offset() + " of " + file.path()
                            + " can't be mapped (" + refused
                            + "); a file behind guest memory must exist and may be read, and if shared written, by us",
                    refused);
        }
    }

    void remove(MemoryRegion region) {
        Slot slot;
        synchronized (this) {
            checkOpen();
            slot = slotOf(region);
            memory.remove(region);
            slots.remove(region);
        }
        // Not under the lock: it may wait for calls of others.
        giveBack(slot.arena, region);
    }

    /** Waits for calls that use the memory, such as a read from a channel; those end by themselves. */
    private static void giveBack(Arena arena, MemoryRegion region) {
        long giveUp = System.nanoTime() + CLOSE_PATIENCE_NANOS;
        while (true) {
            try {
                arena.close();
                return;
            } catch (IllegalStateException inUse) {
                if (System.nanoTime() - giveUp >= 0) {
                    throw new HypervisorException(
                            region + " is still in use by a call after "
                                    + TimeUnit.NANOSECONDS.toSeconds(CLOSE_PATIENCE_NANOS)
                                    + " s; end reads and writes of channels into it before it is removed",
                            inUse);
                }
                LockSupport.parkNanos(CLOSE_RETRY_NANOS);
            }
        }
    }

    synchronized void startDirtyTracking(MemoryRegion region) {
        checkOpen();
        slotOf(region).logged = true;
        // The guest's stores go through GuestMemory, so they are in the host's record.
        region.startHostDirtyTracking();
    }

    synchronized void stopDirtyTracking(MemoryRegion region) {
        checkOpen();
        slotOf(region).logged = false;
        region.stopHostDirtyTracking();
    }

    synchronized DirtyPages takeDirtyPages(MemoryRegion region) {
        checkOpen();
        if (!slotOf(region).logged) {
            throw new IllegalStateException("dirty tracking is off for " + region + "; start it first");
        }
        return region.takeHostDirtyPages();
    }

    /** Gives all memory back. */
    void close() {
        IdentityHashMap<MemoryRegion, Slot> last;
        synchronized (this) {
            closed = true;
            last = new IdentityHashMap<>(slots);
            slots.clear();
        }
        last.forEach((region, slot) -> {
            try {
                giveBack(slot.arena, region);
            } catch (HypervisorException stillInUse) {
                LOG.log(Level.WARNING, "guest memory is not given back", stillInUse);
            }
        });
    }

    private static void checkAligned(String what, long value, String text) {
        if (Long.remainderUnsigned(value, PAGE_SIZE) != 0) {
            throw new IllegalArgumentException(
                    "memory " + what + " " + text + " must be a multiple of the page size " + PAGE_SIZE);
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("VM is closed");
        }
    }

    private Slot slotOf(MemoryRegion region) {
        Slot slot = slots.get(region);
        if (slot == null) {
            throw new IllegalArgumentException(region + " is not memory of this VM, or was removed");
        }
        return slot;
    }
}
