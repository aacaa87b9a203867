package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestMemory;
import java.util.List;
import java.util.Optional;

/**
 * Writes {@code struct boot_params}, which Linux finds by RSI (Linux, Documentation/arch/x86/zero-page.rst and
 * arch/x86/include/uapi/asm/bootparam.h).
 *
 * @param header the kernel's setup header, of which the zero page holds a copy
 * @param kernel where the kernel lies
 * @param commandLine where its command line lies
 * @param initrd where the initrd lies
 */
record ZeroPage(SetupHeader header, GuestRange kernel, GuestRange commandLine, Optional<GuestRange> initrd) {
    /** Size of the structure: one page. */
    static final int SIZE = 4096;

    private static final int ACPI_RSDP_ADDR = 0x70;
    private static final int EXT_RAMDISK_IMAGE = 0xC0;
    private static final int EXT_RAMDISK_SIZE = 0xC4;
    private static final int EXT_CMD_LINE_PTR = 0xC8;
    private static final int E820_ENTRIES = 0x1E8;
    private static final int E820_TABLE = 0x2D0;
    private static final int E820_ENTRY_SIZE = 20;

    /** The first version with acpi_rsdp_addr. */
    private static final int VERSION_RSDP = 0x20E;
    /** "0xFF: undefined", for loaders that have no number of their own. */
    private static final byte UNDEFINED_LOADER = (byte) 0xFF;
    /** Bits that the kernel's file may leave set but that are the loader's to set: QUIET, KEEP_SEGMENTS and CAN_USE_HEAP. */
    private static final int LOADERS_FLAGS = 0xE0;

    void write(GuestMemory memory, long page, BootParameters parameters) {
        memory.fill(page, SIZE, (byte) 0);
        memory.write(page + SetupHeader.START, header.bytes());
        memory.writeByte(page + SetupHeader.TYPE_OF_LOADER, UNDEFINED_LOADER);
        memory.writeByte(page + SetupHeader.LOADFLAGS, (byte) (header.loadflags() & ~LOADERS_FLAGS));
        memory.writeInt(page + SetupHeader.CODE32_START, (int) kernel.start());
        memory.writeLong(page + SetupHeader.SETUP_DATA, 0);
        split(memory, page, SetupHeader.CMD_LINE_PTR, EXT_CMD_LINE_PTR, commandLine.start());
        initrd.ifPresent(range -> {
            split(memory, page, SetupHeader.RAMDISK_IMAGE, EXT_RAMDISK_IMAGE, range.start());
            split(memory, page, SetupHeader.RAMDISK_SIZE, EXT_RAMDISK_SIZE, range.size());
        });
        if (header.version() >= VERSION_RSDP) {
            parameters.rsdp().ifPresent(address -> memory.writeLong(page + ACPI_RSDP_ADDR, address.value()));
        }
        List<MemoryMap.Entry> entries = parameters.memoryMap().entries();
        memory.writeByte(page + E820_ENTRIES, (byte) entries.size());
        for (int i = 0; i < entries.size(); i++) {
            MemoryMap.Entry entry = entries.get(i);
            long at = page + E820_TABLE + (long) i * E820_ENTRY_SIZE;
            memory.writeLong(at, entry.range().start());
            memory.writeLong(at + 8, entry.range().size());
            memory.writeInt(at + 16, entry.kind().number());
        }
    }

    /** Writes a number whose upper half lies in a field of its own. */
    private static void split(GuestMemory memory, long page, int low, int high, long value) {
        memory.writeInt(page + low, (int) value);
        memory.writeInt(page + high, (int) (value >>> Integer.SIZE));
    }
}
