package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.x86.Registers;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * A freestanding ELF program, entered at its {@code e_entry}: a 32-bit file in flat protected mode, a 64-bit file in long mode. For guests that
 * are linked by a tool chain and know no boot protocol.
 *
 * <p>The stack pointer starts at the lowest address of the program, less 8 in long mode, as if it had been called (System V ABI, AMD64
 * supplement, 3.2.2), so that the stack grows down from below it; the guest brings its own if that is not RAM. Immutable.
 *
 * <p>{@link KernelImage#of} does not choose this format by itself: an ELF kernel that lacks its boot protocol's mark is an error there.
 */
public final class ElfImage implements KernelImage {
    private final ElfFile elf;
    private final EntryMode mode;
    private final long entry;

    private ElfImage(ElfFile elf) {
        this.elf = elf;
        this.mode = elf.isWide() ? EntryMode.LONG64 : EntryMode.PROTECTED32;
        this.entry = elf.physicalEntry();
    }

    /**
     * Reads an ELF file.
     *
     * @param bytes the file; copied
     * @return the image
     * @throws BadKernelException if it is malformed, for another processor, or its entry is in no segment
     */
    public static ElfImage of(byte[] bytes) {
        return new ElfImage(
                ElfFile.parse(new ImageReader(KernelFormat.ELF.toString(), MemorySegment.ofArray(bytes.clone()))));
    }

    /**
     * Tells whether bytes begin as an ELF file does.
     *
     * @param bytes a file
     * @return true if they do
     */
    public static boolean matches(byte[] bytes) {
        return new ImageReader("file", MemorySegment.ofArray(bytes)).has32(0, ElfFile.MAGIC);
    }

    @Override
    public KernelFormat format() {
        return KernelFormat.ELF;
    }

    @Override
    public LoadedKernel load(GuestMemory memory, BootParameters parameters) {
        parameters.checkNothingToPass("a plain ELF program");
        GuestLayout layout = new GuestLayout(memory, parameters.memoryMap());
        elf.checkFits(layout);
        GuestRange span = elf.span();
        layout.take(span);
        BootTables tables = BootTables.plan(layout, mode);
        elf.write(memory);
        tables.write(memory);
        long stack = mode == EntryMode.LONG64 ? span.start() - Long.BYTES : span.start();
        return new LoadedKernel(
                format(),
                mode,
                GuestAddress.of(entry),
                Registers.INITIAL.withRip(entry).withRsp(stack),
                span,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.of(tables.register()),
                tables.pageTables());
    }
}
