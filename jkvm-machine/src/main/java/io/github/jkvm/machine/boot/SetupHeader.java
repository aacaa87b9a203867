package io.github.jkvm.machine.boot;

import java.lang.foreign.MemorySegment;

/**
 * The setup header of a bzImage, checked for the 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel
 * Header"). Field names are that document's.
 *
 * @param bytes the header itself, from setup_sects on, as it goes into the zero page
 * @param version boot protocol version, such as 0x20f
 * @param codeOffset where the protected-mode code begins in the file
 * @param codeSize how long it is
 * @param loadflags flags of how the kernel is loaded
 * @param initrdEnd the address that the initrd must end at or below
 * @param alignment alignment of a kernel that may lie anywhere
 * @param relocatable whether it may
 * @param commandLineSize longest command line, without its closing zero byte
 * @param payloadOffset where the packed kernel begins, from the start of the protected-mode code
 * @param payloadLength how long it is
 * @param preferred where it wants to lie
 * @param initSize the memory it needs from there on until it has read its memory map
 */
record SetupHeader(
        MemorySegment bytes,
        int version,
        long codeOffset,
        long codeSize,
        int loadflags,
        long initrdEnd,
        long alignment,
        boolean relocatable,
        long commandLineSize,
        long payloadOffset,
        long payloadLength,
        long preferred,
        long initSize) {

    /** Where the header begins, in the file and in the zero page. */
    static final int START = 0x1F1;

    private static final int SYSSIZE = 0x1F4;
    private static final int BOOT_FLAG = 0x1FE;
    private static final int JUMP_OFFSET = 0x201;
    private static final int MAGIC_AT = 0x202;
    private static final int VERSION = 0x206;
    static final int TYPE_OF_LOADER = 0x210;
    static final int LOADFLAGS = 0x211;
    static final int CODE32_START = 0x214;
    static final int RAMDISK_IMAGE = 0x218;
    static final int RAMDISK_SIZE = 0x21C;
    static final int CMD_LINE_PTR = 0x228;
    private static final int INITRD_ADDR_MAX = 0x22C;
    private static final int KERNEL_ALIGNMENT = 0x230;
    private static final int RELOCATABLE_KERNEL = 0x234;
    private static final int XLOADFLAGS = 0x236;
    private static final int CMDLINE_SIZE = 0x238;
    static final int PAYLOAD_OFFSET = 0x248;
    static final int PAYLOAD_LENGTH = 0x24C;
    static final int SETUP_DATA = 0x250;
    private static final int PREF_ADDRESS = 0x258;
    private static final int INIT_SIZE = 0x260;
    /** The zero page has something else from here on (zero-page.rst: edd_mbr_sig_buffer). */
    private static final int LAST_END = 0x290;
    /** The end of the last field that is read here. */
    private static final int NEEDED_END = INIT_SIZE + Integer.BYTES;

    private static final int MAGIC = 0x5372_6448; // "HdrS"
    private static final int BOOT_FLAG_MAGIC = 0xAA55;
    /** The first version with xloadflags, which tells of the 64-bit entry. */
    private static final int VERSION_XLOADFLAGS = 0x20C;

    private static final int SECTOR = 512;
    private static final int PARAGRAPH = 16;
    private static final int DEFAULT_SETUP_SECTS = 4;
    private static final int LOADED_HIGH = 1;
    private static final int XLF_KERNEL_64 = 1;
    private static final long MIN_PREFERRED = 1 << 20;

    /** Tells whether an image has the marks of a bzImage. */
    static boolean matches(ImageReader image) {
        return image.has32(MAGIC_AT, MAGIC) && image.u16("boot_flag", BOOT_FLAG) == BOOT_FLAG_MAGIC;
    }

    /** Reads and checks the header. */
    static SetupHeader parse(ImageReader image) {
        if (image.u16("boot_flag", BOOT_FLAG) != BOOT_FLAG_MAGIC) {
            throw image.bad("boot_flag", BOOT_FLAG, image.u16("boot_flag", BOOT_FLAG), "0xaa55");
        }
        if (!image.has32(MAGIC_AT, MAGIC)) {
            throw image.bad("header", MAGIC_AT, image.u32("header", MAGIC_AT), "\"HdrS\"");
        }
        int version = image.u16("version", VERSION);
        if (version < VERSION_XLOADFLAGS) {
            throw image.bad("version", VERSION, version, "0x20c or above, which has a 64-bit entry");
        }
        int end = MAGIC_AT + image.u8("jump", JUMP_OFFSET);
        if (end < NEEDED_END || end > LAST_END) {
            throw image.bad(
                    "jump",
                    JUMP_OFFSET,
                    end - MAGIC_AT,
                    "a header that ends from 0x" + Integer.toHexString(NEEDED_END) + " to 0x"
                            + Integer.toHexString(LAST_END));
        }
        int loadflags = image.u8("loadflags", LOADFLAGS);
        if ((loadflags & LOADED_HIGH) == 0) {
            throw image.bad("loadflags", LOADFLAGS, loadflags, "bit 0 (LOADED_HIGH) set, as in a bzImage");
        }
        int xloadflags = image.u16("xloadflags", XLOADFLAGS);
        if ((xloadflags & XLF_KERNEL_64) == 0) {
            throw image.bad("xloadflags", XLOADFLAGS, xloadflags, "bit 0 (XLF_KERNEL_64) set: a 64-bit kernel");
        }
        long codeOffset = codeOffset(image);
        long codeSize = codeSize(image, codeOffset);
        MemorySegment bytes = image.slice("jump", JUMP_OFFSET, START, end - START);
        return new SetupHeader(
                bytes,
                version,
                codeOffset,
                codeSize,
                loadflags,
                image.u32("initrd_addr_max", INITRD_ADDR_MAX) + 1,
                alignment(image),
                image.u8("relocatable_kernel", RELOCATABLE_KERNEL) != 0,
                image.u32("cmdline_size", CMDLINE_SIZE),
                image.u32("payload_offset", PAYLOAD_OFFSET),
                image.u32("payload_length", PAYLOAD_LENGTH),
                preferred(image),
                initSize(image, codeSize));
    }

    private static long codeOffset(ImageReader image) {
        int sectors = image.u8("setup_sects", START);
        // "For backwards compatibility, if the setup_sects field contains 0, the real value is 4." The boot sector
        // comes on top.
        long offset = (1L + (sectors == 0 ? DEFAULT_SETUP_SECTS : sectors)) * SECTOR;
        if (offset >= image.size()) {
            throw image.bad("setup_sects", START, sectors, "an end before that of the file");
        }
        return offset;
    }

    private static long codeSize(ImageReader image, long offset) {
        long size = image.u32("syssize", SYSSIZE) * PARAGRAPH;
        long there = image.size() - offset;
        // The last paragraph may be cut off by the end of the file.
        if (size <= BzImage.ENTRY_64 || size - there >= PARAGRAPH) {
            throw image.bad(
                    "syssize",
                    SYSSIZE,
                    size / PARAGRAPH,
                    "more than 0x20 and at most 0x" + Long.toHexString((there + PARAGRAPH - 1) / PARAGRAPH)
                            + ": what the file has behind its setup code, in units of 16 bytes");
        }
        return Math.min(size, there);
    }

    private static long alignment(ImageReader image) {
        long alignment = image.u32("kernel_alignment", KERNEL_ALIGNMENT);
        if (Long.bitCount(alignment) != 1 || alignment < GuestLayout.PAGE) {
            throw image.bad("kernel_alignment", KERNEL_ALIGNMENT, alignment, "a power of two from 0x1000");
        }
        return alignment;
    }

    private static long preferred(ImageReader image) {
        long preferred = image.u64("pref_address", PREF_ADDRESS);
        if (preferred < MIN_PREFERRED || preferred >= GuestLayout.FOUR_GIB) {
            throw image.bad("pref_address", PREF_ADDRESS, preferred, "an address from 1 MiB to 4 GiB");
        }
        return preferred;
    }

    private static long initSize(ImageReader image, long codeSize) {
        long size = image.u32("init_size", INIT_SIZE);
        if (size < codeSize) {
            throw image.bad("init_size", INIT_SIZE, size, "at least the code's 0x" + Long.toHexString(codeSize));
        }
        return size;
    }
}
