package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestMemory;
import java.util.List;
import java.util.Optional;

/**
 * Writes the multiboot 1 information structure with its lists (Multiboot Specification 0.6.96, 3.3). The initrd is the first module;
 * further modules follow.
 *
 * @param range where the structure, its lists and the loader's name lie
 * @param commandLine where the command line lies
 * @param modules where the modules and their command lines lie
 */
record MultibootInfo(GuestRange range, GuestRange commandLine, List<PlacedModule> modules) {
    private static final String LOADER_NAME = "jkvm";
    private static final int SIZE = 116;
    private static final int MODULE_SIZE = 16;
    /** One entry of the map, with the size field that precedes it and does not count itself. */
    private static final int MAP_ENTRY_SIZE = 24;

    private static final int FLAG_MEMORY = 1;
    private static final int FLAG_COMMAND_LINE = 1 << 2;
    private static final int FLAG_MODULES = 1 << 3;
    private static final int FLAG_MAP = 1 << 6;
    private static final int FLAG_LOADER_NAME = 1 << 9;

    private static final long KIB = 1024;

    static MultibootInfo plan(GuestLayout layout, BootParameters parameters) {
        List<PlacedModule> modules = PlacedModule.plan(layout, parameters);
        long size = SIZE
                + (long) modules.size() * MODULE_SIZE
                + (long) parameters.memoryMap().entries().size() * MAP_ENTRY_SIZE
                + LOADER_NAME.length()
                + 1;
        GuestRange range = layout.lowest("multiboot information", size, Long.BYTES);
        return new MultibootInfo(range, BootText.plan(layout, parameters.commandLine()), modules);
    }

    Optional<GuestRange> initrd(BootParameters parameters) {
        return parameters.initrd().map(bytes -> modules.getFirst().range());
    }

    void write(GuestMemory memory, BootParameters parameters) {
        List<MemoryMap.Entry> entries = parameters.memoryMap().entries();
        long info = range.start();
        long list = info + SIZE;
        long map = list + (long) modules.size() * MODULE_SIZE;
        long name = map + (long) entries.size() * MAP_ENTRY_SIZE;
        memory.fill(info, range.size(), (byte) 0);
        memory.writeInt(info, FLAG_MEMORY | FLAG_COMMAND_LINE | FLAG_MODULES | FLAG_MAP | FLAG_LOADER_NAME);
        memory.writeInt(info + 4, (int) (ramFrom(entries, 0, MemoryMap.CONVENTIONAL_END) / KIB));
        memory.writeInt(info + 8, (int) (ramFrom(entries, MemoryMap.HIGH_START, GuestLayout.FOUR_GIB) / KIB));
        memory.writeInt(info + 16, (int) commandLine.start());
        memory.writeInt(info + 20, modules.size());
        memory.writeInt(info + 24, (int) list);
        memory.writeInt(info + 44, entries.size() * MAP_ENTRY_SIZE);
        memory.writeInt(info + 48, (int) map);
        memory.writeInt(info + 64, (int) name);
        BootText.write(memory, commandLine, parameters.commandLine());
        BootText.write(memory, name, LOADER_NAME);
        for (int i = 0; i < modules.size(); i++) {
            PlacedModule module = modules.get(i);
            module.write(memory);
            long at = list + (long) i * MODULE_SIZE;
            memory.writeInt(at, (int) module.range().start());
            memory.writeInt(at + 4, (int) module.range().end());
            memory.writeInt(at + 8, (int) module.commandLine().start());
        }
        for (int i = 0; i < entries.size(); i++) {
            MemoryMap.Entry entry = entries.get(i);
            long at = map + (long) i * MAP_ENTRY_SIZE;
            memory.writeInt(at, MAP_ENTRY_SIZE - Integer.BYTES);
            memory.writeLong(at + 4, entry.range().start());
            memory.writeLong(at + 12, entry.range().size());
            memory.writeInt(at + 20, entry.kind().number());
        }
    }

    /** The RAM that begins at an address and goes on without a hole, up to a limit. */
    private static long ramFrom(List<MemoryMap.Entry> entries, long start, long limit) {
        for (MemoryMap.Entry entry : entries) {
            if (entry.kind() == MemoryMap.Kind.RAM
                    && entry.range().start() <= start
                    && start < entry.range().end()) {
                return Math.min(entry.range().end(), limit) - start;
            }
        }
        return 0;
    }
}
