package io.github.jkvm.machine.snapshot;

import io.github.jkvm.DirtyPages;
import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.HostPages;
import io.github.jkvm.Hypervisor;
import io.github.jkvm.HypervisorException;
import io.github.jkvm.MemoryBacking;
import io.github.jkvm.MemoryImage;
import io.github.jkvm.MemoryRegion;
import io.github.jkvm.Vm;
import io.github.jkvm.machine.Fakes;
import io.github.jkvm.machine.boot.GuestRange;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** Guests' memory on the heap, and a hypervisor that has no more than that. */
final class TestMemory {
    static final Hypervisor HYPERVISOR = Fakes.of(
            Hypervisor.class,
            Map.of(
                    "createMemoryImage",
                    arguments -> new HeapImage(MemorySegment.ofArray(new byte[Math.toIntExact((long) arguments[0])])),
                    "openMemoryImage",
                    arguments -> open((Path) arguments[0])));

    private TestMemory() {}

    private record HeapImage(MemorySegment segment) implements MemoryImage {
        @Override
        public long size() {
            return segment.byteSize();
        }

        @Override
        public void close() {}
    }

    static MemoryImage image(MemorySegment bytes) {
        return new HeapImage(bytes);
    }

    private static MemoryImage open(Path file) {
        try {
            return new HeapImage(MemorySegment.ofArray(Files.readAllBytes(file)).asReadOnly());
        } catch (IOException e) {
            throw new HypervisorException(file + " can't be read", e);
        }
    }

    /** A layer with pages of its own, and those that are zeros in no place. */
    static Layer layer(MemorySegment memory) {
        return new MemoryRecord(vm(List.of(region(0, memory, Optional::empty))), whole(memory.byteSize()), null)
                .copy(HYPERVISOR, null);
    }

    private static List<GuestRange> whole(long size) {
        return List.of(new GuestRange(0, size));
    }

    static MemoryRegion region(long base, MemorySegment bytes, Supplier<Optional<DirtyPages>> changed) {
        var memory = MemorySegment.ofArray(new long[Math.toIntExact(bytes.byteSize() / Long.BYTES)]);
        return MemoryRegion.of(
                GuestAddress.of(base), memory.copyFrom(bytes), MemoryRegion.Access.READ_WRITE, new HostPages() {
                    @Override
                    public long discard(long offset, long length) {
                        return 0;
                    }

                    @Override
                    public Remains remains() {
                        return Remains.ZEROS;
                    }

                    @Override
                    public Optional<DirtyPages> changed() {
                        return changed.get();
                    }

                    @Override
                    public Optional<SharedFile> sharedFile() {
                        return Optional.empty();
                    }
                });
    }

    /** A VM that records what is written to its regions, as the host writes it. */
    static Vm vm(List<MemoryRegion> regions) {
        var memory = GuestMemory.of(regions.toArray(MemoryRegion[]::new));
        return Fakes.of(
                Vm.class,
                Map.of(
                        "memory",
                        _ -> memory,
                        "startDirtyTracking",
                        arguments -> {
                            ((MemoryRegion) arguments[0]).startHostDirtyTracking();
                            return null;
                        },
                        "takeDirtyPages",
                        arguments -> ((MemoryRegion) arguments[0]).takeHostDirtyPages()));
    }

    /** The bytes that a guest begins with. */
    static MemorySegment asRestored(GuestContents contents, long offset, long size) {
        var memory = MemorySegment.ofArray(new byte[Math.toIntExact(size)]);
        switch (contents.backing(HYPERVISOR, offset, size)) {
            case MemoryBacking.Copy copy -> lay(memory, 0, copy);
            case MemoryBacking.Layered layered -> {
                lay(memory, 0, layered.bottom());
                layered.layers().forEach(layer -> lay(memory, layer.at(), layer.contents()));
            }
            case MemoryBacking other -> throw new AssertionError(other);
        }
        return memory;
    }

    static MemorySegment asRestored(GuestContents contents) {
        return asRestored(contents, 0, contents.layer().size());
    }

    private static void lay(MemorySegment memory, long at, MemoryBacking.Copy copy) {
        memory.asSlice(at, copy.size()).copyFrom(copy.image().segment().asSlice(copy.offset(), copy.size()));
    }
}
