package io.github.jkvm.machine.boot;

import java.util.Optional;
import java.util.OptionalLong;

/**
 * The header of a multiboot 1 image (Multiboot Specification 0.6.96, 3.1).
 *
 * @param offset where it lies in the image
 * @param flags what the kernel asks for
 * @param addresses its address fields, if it says that they count
 */
record MultibootHeader(long offset, long flags, Optional<Addresses> addresses) {
    private static final int MAGIC = 0x1BAD_B002;
    /** The header lies in the first 8192 bytes, all of it, at a multiple of 4 (3.1). */
    private static final long SEARCHED = 8192;

    private static final long SMALLEST = 12;

    /** Bit 0: modules on page boundaries; they always are. */
    private static final long ALIGN_MODULES = 1;
    /** Bit 1: memory sizes; they are always given. */
    private static final long MEMORY_INFO = 1 << 1;
    /** Bits 0 to 15 must be obeyed or the boot refused (3.1.2). */
    private static final long MANDATORY = 0xFFFF;
    /** Bit 16: the address fields count. */
    private static final long ADDRESS_FIELDS = 1 << 16;

    /** Where the fields lie in the header. */
    static final int FLAGS = 4;

    static final int HEADER_ADDR = 12;
    static final int LOAD_ADDR = 16;
    static final int LOAD_END_ADDR = 20;
    static final int BSS_END_ADDR = 24;
    static final int ENTRY_ADDR = 28;

    /**
     * The address fields (3.1.3), physical addresses below 4 GiB.
     *
     * @param header where the header itself goes
     * @param load where the first loaded byte goes
     * @param loadEnd the end of what is loaded; 0 for the end of the image
     * @param bssEnd the end of what is zeroed behind it; 0 for nothing
     * @param entry the first instruction
     */
    record Addresses(long header, long load, long loadEnd, long bssEnd, long entry) {}

    /** Looks for a magic number whose checksum is right. */
    static OptionalLong find(ImageReader image) {
        for (long at = 0; at <= Math.min(SEARCHED, image.size()) - SMALLEST; at += Integer.BYTES) {
            if (image.has32(at, MAGIC)
                    && (int) (MAGIC + image.u32("flags", at + 4) + image.u32("checksum", at + 8)) == 0) {
                return OptionalLong.of(at);
            }
        }
        return OptionalLong.empty();
    }

    /** Reads the header at an offset and checks the flags. */
    static MultibootHeader parse(ImageReader image, long offset) {
        long flags = image.u32("flags", offset + FLAGS);
        long unknown = flags & MANDATORY & ~(ALIGN_MODULES | MEMORY_INFO);
        if (unknown != 0) {
            throw image.bad(
                    "flags",
                    offset + FLAGS,
                    flags,
                    "no mandatory flags but bits 0 and 1; 0x" + Long.toHexString(unknown)
                            + " asks for what this board has not (bit 2 is a video mode)");
        }
        if ((flags & ADDRESS_FIELDS) == 0) {
            return new MultibootHeader(offset, flags, Optional.empty());
        }
        return new MultibootHeader(
                offset,
                flags,
                Optional.of(new Addresses(
                        image.u32("header_addr", offset + HEADER_ADDR),
                        image.u32("load_addr", offset + LOAD_ADDR),
                        image.u32("load_end_addr", offset + LOAD_END_ADDR),
                        image.u32("bss_end_addr", offset + BSS_END_ADDR),
                        image.u32("entry_addr", offset + ENTRY_ADDR))));
    }
}
