package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.x86.Registers;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * A multiboot 1 kernel: an ELF file, or any file whose multiboot header says where it goes (Multiboot Specification 0.6.96).
 *
 * <p>It is entered in flat protected mode with EAX holding 0x2badb002 and EBX pointing to the multiboot information, which has memory
 * sizes, the memory map, the command line, the loader's name, and the initrd and modules. Immutable.
 */
public final class MultibootImage implements KernelImage {
    /** What a kernel finds in EAX (3.2). */
    private static final long LOADED_MAGIC = 0x2BAD_B002L;

    private final Body body;

    /** What is written where: the difference between the two forms. */
    private sealed interface Body permits ElfBody, RawBody {
        GuestRange range();

        long entry();

        void check(GuestLayout layout);

        void write(GuestMemory memory);
    }

    private record ElfBody(ElfFile elf, long entry) implements Body {
        @Override
        public GuestRange range() {
            return elf.span();
        }

        @Override
        public void check(GuestLayout layout) {
            elf.checkFits(layout);
        }

        @Override
        public void write(GuestMemory memory) {
            elf.write(memory);
        }
    }

    private record RawBody(ImageReader image, long header, MemorySegment bytes, GuestRange range, long entry)
            implements Body {
        @Override
        public void check(GuestLayout layout) {
            if (!layout.isRam(range)) {
                throw image.bad(
                        "load_addr",
                        header + MultibootHeader.LOAD_ADDR,
                        range.start(),
                        "an address with RAM for the kernel's 0x" + Long.toHexString(range.size()) + " bytes");
            }
        }

        @Override
        public void write(GuestMemory memory) {
            memory.write(range.start(), bytes);
            memory.fill(range.start() + bytes.byteSize(), range.size() - bytes.byteSize(), (byte) 0);
        }
    }

    private MultibootImage(Body body) {
        this.body = body;
    }

    /**
     * Reads a multiboot kernel.
     *
     * @param bytes the file; copied
     * @return the image
     * @throws BadKernelException if there is no multiboot header in the first 8192 bytes, it asks for what this library has not, or it or
     *     the ELF file is malformed
     */
    public static MultibootImage of(byte[] bytes) {
        ImageReader image = new ImageReader(KernelFormat.MULTIBOOT.toString(), MemorySegment.ofArray(bytes.clone()));
        long header = MultibootHeader.find(image)
                .orElseThrow(() -> image.bad(
                        "magic",
                        0,
                        "not there",
                        "0x1badb002 with a right checksum at a multiple of 4 in the first 8192 bytes"));
        return parse(image, header);
    }

    static MultibootImage parse(ImageReader image, long headerOffset) {
        MultibootHeader header = MultibootHeader.parse(image, headerOffset);
        return new MultibootImage(header.addresses()
                .map(addresses -> rawBody(image, headerOffset, addresses))
                .orElseGet(() -> elfBody(image)));
    }

    private static Body elfBody(ImageReader image) {
        ElfFile elf = ElfFile.parse(image);
        if (elf.span().end() > GuestLayout.FOUR_GIB) {
            throw image.bad("p_paddr", 0, elf.span().end(), "segments that end at or below 4 GiB for a 32-bit entry");
        }
        return new ElfBody(elf, elf.physicalEntry());
    }

    private static Body rawBody(ImageReader image, long at, MultibootHeader.Addresses addresses) {
        long load = addresses.load();
        long back = addresses.header() - load;
        // The image is loaded from as far before the header as load_addr is below header_addr (3.1.3).
        if (back < 0 || back > at) {
            throw image.bad(
                    "load_addr",
                    at + MultibootHeader.LOAD_ADDR,
                    load,
                    "at most header_addr, 0x" + Long.toHexString(addresses.header())
                            + ", and at most the header's offset, 0x" + Long.toHexString(at) + ", below it");
        }
        long start = at - back;
        long length = addresses.loadEnd() == 0 ? image.size() - start : addresses.loadEnd() - load;
        if (length <= back || length > image.size() - start) {
            throw image.bad(
                    "load_end_addr",
                    at + MultibootHeader.LOAD_END_ADDR,
                    addresses.loadEnd(),
                    "0, or an address above header_addr that the image of 0x" + Long.toHexString(image.size())
                            + " bytes reaches");
        }
        long end = load + length;
        if (addresses.bssEnd() != 0 && addresses.bssEnd() < end) {
            throw image.bad(
                    "bss_end_addr",
                    at + MultibootHeader.BSS_END_ADDR,
                    addresses.bssEnd(),
                    "0, or at least the end of what is loaded, 0x" + Long.toHexString(end));
        }
        GuestRange range = GuestRange.between(load, Math.max(end, addresses.bssEnd()));
        if (range.end() > GuestLayout.FOUR_GIB) {
            throw image.bad(
                    "load_addr",
                    at + MultibootHeader.LOAD_ADDR,
                    load,
                    "an address from which 0x" + Long.toHexString(length) + " bytes end at or below 4 GiB");
        }
        if (addresses.entry() < load || addresses.entry() >= end) {
            throw image.bad(
                    "entry_addr",
                    at + MultibootHeader.ENTRY_ADDR,
                    addresses.entry(),
                    "an address in what is loaded, " + new GuestRange(load, length));
        }
        MemorySegment bytes = image.slice("load_end_addr", at + MultibootHeader.LOAD_END_ADDR, start, length);
        return new RawBody(image, at, bytes, range, addresses.entry());
    }

    @Override
    public KernelFormat format() {
        return KernelFormat.MULTIBOOT;
    }

    @Override
    public LoadedKernel load(GuestMemory memory, BootParameters parameters) {
        GuestLayout layout = new GuestLayout(memory, parameters.memoryMap());
        body.check(layout);
        layout.take(body.range());
        BootTables tables = BootTables.plan(layout, EntryMode.PROTECTED32);
        MultibootInfo info = MultibootInfo.plan(layout, parameters);
        body.write(memory);
        tables.write(memory);
        info.write(memory, parameters);
        return new LoadedKernel(
                format(),
                EntryMode.PROTECTED32,
                GuestAddress.of(body.entry()),
                Registers.INITIAL
                        .withRip(body.entry())
                        .with(Registers.Name.RAX, LOADED_MAGIC)
                        .with(Registers.Name.RBX, info.range().start()),
                body.range(),
                Optional.of(info.range()),
                Optional.of(info.commandLine()),
                info.initrd(parameters),
                Optional.of(tables.register()),
                Optional.empty());
    }
}
