package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestMemory;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * A kernel image that was read and checked, ready to be loaded any number of times.
 *
 * <p>{@snippet lang = java :
 * LoadedKernel kernel = KernelImage.read(Path.of("/boot/vmlinuz")).load(memory, parameters);
 * }
 *
 * <p>Images are immutable and may be used by many threads.
 */
public sealed interface KernelImage permits BzImage, ElfImage, FlatImage, MultibootImage, PvhImage {

    /** The largest kernel file that is read, in bytes: 1 GiB. */
    long MAX_FILE_SIZE = 1L << 30;

    /**
     * Reads an image and finds out its format: bzImage, ELF with a PVH note, or multiboot 1; an ELF file that is both is taken by its note.
     * A flat image has nothing to be known by: see {@link FlatImage}; an ELF program for no boot protocol is an {@link ElfImage}.
     *
     * @param bytes the image; copied
     * @return the image
     * @throws BadKernelException if it is malformed, or of no format that this library knows; the text says what was looked for
     */
    static KernelImage of(byte[] bytes) {
        return detect(MemorySegment.ofArray(bytes.clone()));
    }

    /**
     * Reads an image from a file, as {@link #of} does.
     *
     * @param file the file, at most {@link #MAX_FILE_SIZE} long
     * @return the image
     * @throws IOException if the file can't be read
     * @throws BadKernelException if it is malformed, too long, or of no format that this library knows
     */
    static KernelImage read(Path file) throws IOException {
        try (var in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes((int) MAX_FILE_SIZE);
            if (in.read() >= 0) {
                throw new BadKernelException(
                        "kernel file " + file, "end", MAX_FILE_SIZE, "not reached", "at most 1 GiB");
            }
            return detect(MemorySegment.ofArray(bytes));
        }
    }

    private static KernelImage detect(MemorySegment bytes) {
        ImageReader image = new ImageReader("kernel image", bytes);
        if (BzImage.matches(image)) {
            return BzImage.parse(image.as(KernelFormat.BZIMAGE.toString()));
        }
        boolean elf = image.has32(0, ElfFile.MAGIC);
        if (elf) {
            Optional<PvhImage> pvh = PvhImage.parse(image.as("ELF"));
            if (pvh.isPresent()) {
                return pvh.get();
            }
        }
        ImageReader multiboot = image.as(KernelFormat.MULTIBOOT.toString());
        OptionalLong header = MultibootHeader.find(multiboot);
        if (header.isPresent()) {
            return MultibootImage.parse(multiboot, header.getAsLong());
        }
        if (elf) {
            throw image.as("ELF")
                    .bad(
                            "program headers",
                            0,
                            "without a way to enter the kernel",
                            "a PT_NOTE segment with a note of type 18 (PHYS32_ENTRY) by \"Xen\", or a multiboot header in"
                                    + " the first 8192 bytes");
        }
        byte[] head = bytes.asSlice(0, Math.min(16, bytes.byteSize())).toArray(ValueLayout.JAVA_BYTE);
        throw image.bad(
                "start",
                0,
                head.length == 0 ? "empty" : HexFormat.ofDelimiter(" ").formatHex(head),
                "\"HdrS\" at 0x202 and 0xaa55 at 0x1fe (bzImage), 7f 45 4c 46 at 0 (ELF), or 0x1badb002 with a right"
                        + " checksum at a multiple of 4 in the first 8192 bytes (multiboot 1); code without a header is"
                        + " a FlatImage");
    }

    /**
     * Returns how the image says where it wants to lie.
     *
     * @return the format
     */
    KernelFormat format();

    /**
     * Puts the kernel and all that it is handed into guest memory. Writes nothing if it throws.
     *
     * @param memory the guest's memory
     * @param parameters what the kernel is handed
     * @return where everything lies and how to enter the kernel
     * @throws BadKernelException if the image asks for addresses that are no RAM
     * @throws IllegalArgumentException if the memory map calls RAM what the guest has no memory for, something does not fit, or the format
     *     has no way to pass a parameter that is set
     */
    LoadedKernel load(GuestMemory memory, BootParameters parameters);
}
