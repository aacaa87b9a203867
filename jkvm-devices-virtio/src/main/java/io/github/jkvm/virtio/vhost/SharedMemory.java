package io.github.jkvm.virtio.vhost;

import io.github.jkvm.GuestMemory;
import io.github.jkvm.HostPages.SharedFile;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.ffi.OwnedFd;
import io.github.jkvm.virtio.queue.QueueLayout;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The parts of a guest's memory that a back end is handed.
 *
 * @param parts the parts
 */
record SharedMemory(List<Part> parts) {
    /** The protocol's limit for one table. */
    private static final int MOST_PARTS = 8;

    /**
     * What is added to a guest-physical address to name it as an address of this process. The back end looks it up in the table and does nothing else with
     * it, so that it need not be ours, which tells where our memory lies.
     */
    private static final long NAMED_FROM = 1L << 44;

    /**
     * One part.
     *
     * @param base its guest-physical address
     * @param size its size in bytes
     * @param file the file behind it
     */
    record Part(long base, long size, SharedFile file) {
        static final int BYTES = 4 * Long.BYTES;

        void writeTo(ByteBuffer table) {
            table.putLong(base).putLong(size).putLong(NAMED_FROM + base).putLong(file.offset());
        }
    }

    /**
     * Where a ring is, in addresses of the table.
     *
     * @param size its size in descriptors
     * @param descriptors the descriptor area
     * @param available the driver area
     * @param used the device area
     */
    record RingPlace(int size, long descriptors, long available, long used) {}

    /**
     * Returns what can be handed over.
     *
     * @throws IOException if nothing can, or too much
     */
    static SharedMemory of(GuestMemory memory) throws IOException {
        List<Part> parts = new ArrayList<>();
        for (MemoryRegion region : memory.regions()) {
            Optional<SharedFile> file = region.sharedFile();
            if (file.isPresent() && region.access() == MemoryRegion.Access.READ_WRITE) {
                parts.add(new Part(region.base().value(), region.size(), file.get()));
            }
        }
        if (parts.isEmpty()) {
            throw new IOException("the guest's memory is this process's alone;"
                    + " build the machine with MachineBuilder.sharedMemory() for a device that another process serves");
        }
        if (parts.size() > MOST_PARTS) {
            throw new IOException(
                    "the guest's memory has " + parts.size() + " shared regions; a back end takes " + MOST_PARTS);
        }
        return new SharedMemory(List.copyOf(parts));
    }

    List<OwnedFd> files() {
        return parts.stream().map(part -> (OwnedFd) part.file().file()).toList();
    }

    /**
     * Names the place of a ring.
     *
     * @throws IOException if some of it is not in a part
     */
    RingPlace place(QueueLayout layout) throws IOException {
        return new RingPlace(layout.size(), name(layout.descriptors()), name(layout.driver()), name(layout.device()));
    }

    private long name(long address) throws IOException {
        for (Part part : parts) {
            if (Long.compareUnsigned(address - part.base(), part.size()) < 0) {
                return NAMED_FROM + address;
            }
        }
        throw new IOException("ring at 0x" + Long.toHexString(address) + " is not in memory that is shared");
    }
}
