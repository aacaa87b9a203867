package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.x86.Registers;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * An ELF kernel, 32- or 64-bit, that names its 32-bit entry in a note of Xen's: {@code XEN_ELFNOTE_PHYS32_ENTRY}, type 18. Linux built with
 * {@code CONFIG_PVH} is one.
 *
 * <p>It is entered in flat protected mode with EBX pointing to a {@code struct hvm_start_info} (Xen, docs/misc/pvh.pandoc). Immutable.
 */
public final class PvhImage implements KernelImage {
    private static final String NOTE_OWNER = "Xen";
    private static final int NOTE_PHYS32_ENTRY = 18;

    private final ElfFile elf;
    private final long entry;

    private PvhImage(ElfFile elf, long entry) {
        this.elf = elf;
        this.entry = entry;
    }

    /**
     * Reads an ELF file.
     *
     * @param bytes the file; copied
     * @return the image
     * @throws BadKernelException if it is malformed, for another processor, or has no such note
     */
    public static PvhImage of(byte[] bytes) {
        ImageReader image = new ImageReader(KernelFormat.PVH.toString(), MemorySegment.ofArray(bytes.clone()));
        return parse(image).orElseThrow(() -> noEntry(image));
    }

    static BadKernelException noEntry(ImageReader image) {
        return image.bad(
                "program headers",
                0,
                "without a PVH entry",
                "a PT_NOTE segment with a note of type 18 (PHYS32_ENTRY) by \"Xen\"; Linux has it with CONFIG_PVH");
    }

    /** Reads an ELF file; empty if it has no note that names an entry. */
    static Optional<PvhImage> parse(ImageReader image) {
        ElfFile elf = ElfFile.parse(image);
        return elf.note(NOTE_OWNER, NOTE_PHYS32_ENTRY).map(note -> {
            String field = "XEN_ELFNOTE_PHYS32_ENTRY";
            long at = note.descriptor();
            if (note.size() != Integer.BYTES && note.size() != Long.BYTES) {
                throw image.bad(field, note.header(), note.size() + " bytes long", "4 or 8 bytes");
            }
            long entry = note.size() == Integer.BYTES ? image.u32(field, at) : image.u64(field, at);
            if (entry < 0 || entry >= GuestLayout.FOUR_GIB) {
                throw image.bad(field, at, entry, "an address below 4 GiB");
            }
            elf.checkEntry(field, at, entry);
            return new PvhImage(elf, entry);
        });
    }

    @Override
    public KernelFormat format() {
        return KernelFormat.PVH;
    }

    @Override
    public LoadedKernel load(GuestMemory memory, BootParameters parameters) {
        GuestLayout layout = new GuestLayout(memory, parameters.memoryMap());
        elf.checkFits(layout);
        layout.take(elf.span());
        BootTables tables = BootTables.plan(layout, EntryMode.PROTECTED32);
        PvhStartInfo info = PvhStartInfo.plan(layout, parameters);
        elf.write(memory);
        tables.write(memory);
        info.write(memory, parameters);
        return new LoadedKernel(
                format(),
                EntryMode.PROTECTED32,
                GuestAddress.of(entry),
                Registers.INITIAL
                        .withRip(entry)
                        .with(Registers.Name.RBX, info.range().start()),
                elf.span(),
                Optional.of(info.range()),
                Optional.of(info.commandLine()),
                info.initrd(parameters),
                Optional.of(tables.register()),
                Optional.empty());
    }
}
