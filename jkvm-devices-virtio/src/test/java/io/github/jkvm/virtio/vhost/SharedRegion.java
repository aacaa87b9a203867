package io.github.jkvm.virtio.vhost;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.HostPages;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.kvm.ffi.Libc;
import io.github.jkvm.kvm.ffi.MappedMemory;
import io.github.jkvm.kvm.ffi.OwnedFd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** Memory that another process could map, without a hypervisor. */
final class SharedRegion {
    private SharedRegion() {}

    static MemoryRegion create(Arena arena, long size) throws Exception {
        int fd = Libc.memfd_create(arena.allocateFrom("test"), 1);
        var file = new OwnedFd(fd, "test memory");
        Libc.ftruncate(fd, size);
        MemorySegment segment = map(arena, file, size, 0);
        return MemoryRegion.of(GuestAddress.ZERO, segment, MemoryRegion.Access.READ_WRITE, new HostPages() {
            @Override
            public long discard(long offset, long length) {
                return 0;
            }

            @Override
            public Remains remains() {
                return Remains.ZEROS;
            }

            @Override
            public Optional<SharedFile> sharedFile() {
                return Optional.of(new SharedFile(file, 0));
            }
        });
    }

    static MemorySegment map(Arena arena, OwnedFd file, long size, long offset) throws Exception {
        int fd = file.acquire();
        try {
            return MappedMemory.map(arena, size, MappedMemory.MAP_SHARED, fd, offset);
        } finally {
            file.release();
        }
    }
}
