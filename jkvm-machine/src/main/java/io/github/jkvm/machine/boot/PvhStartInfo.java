package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import java.util.List;
import java.util.Optional;

/**
 * Writes {@code struct hvm_start_info}, version 1, with module list and memory map (Xen, xen/include/public/arch-x86/hvm/start_info.h).
 * The initrd is the first module; further modules follow.
 *
 * @param range where the structure and its lists lie
 * @param commandLine where the command line lies
 * @param modules where the modules and their command lines lie
 */
record PvhStartInfo(GuestRange range, GuestRange commandLine, List<PlacedModule> modules) {
    private static final int MAGIC = 0x336E_C578;
    private static final int VERSION = 1;
    private static final int SIZE = 56;
    private static final int MODULE_SIZE = 32;
    private static final int MAP_ENTRY_SIZE = 24;

    static PvhStartInfo plan(GuestLayout layout, BootParameters parameters) {
        List<PlacedModule> modules = PlacedModule.plan(layout, parameters);
        long size = SIZE
                + (long) modules.size() * MODULE_SIZE
                + (long) parameters.memoryMap().entries().size() * MAP_ENTRY_SIZE;
        GuestRange range = layout.lowest("PVH start info", size, Long.BYTES);
        return new PvhStartInfo(range, BootText.plan(layout, parameters.commandLine()), modules);
    }

    Optional<GuestRange> initrd(BootParameters parameters) {
        return parameters.initrd().map(bytes -> modules.getFirst().range());
    }

    void write(GuestMemory memory, BootParameters parameters) {
        long info = range.start();
        long list = info + SIZE;
        long map = list + (long) modules.size() * MODULE_SIZE;
        List<MemoryMap.Entry> entries = parameters.memoryMap().entries();
        memory.fill(info, range.size(), (byte) 0);
        memory.writeInt(info, MAGIC);
        memory.writeInt(info + 4, VERSION);
        memory.writeInt(info + 12, modules.size());
        memory.writeLong(info + 16, modules.isEmpty() ? 0 : list);
        memory.writeLong(info + 24, commandLine.start());
        memory.writeLong(info + 32, parameters.rsdp().map(GuestAddress::value).orElse(0L));
        memory.writeLong(info + 40, map);
        memory.writeInt(info + 48, entries.size());
        BootText.write(memory, commandLine, parameters.commandLine());
        for (int i = 0; i < modules.size(); i++) {
            PlacedModule module = modules.get(i);
            module.write(memory);
            long at = list + (long) i * MODULE_SIZE;
            memory.writeLong(at, module.range().start());
            memory.writeLong(at + 8, module.range().size());
            memory.writeLong(at + 16, module.commandLine().start());
        }
        for (int i = 0; i < entries.size(); i++) {
            long at = map + (long) i * MAP_ENTRY_SIZE;
            memory.writeLong(at, entries.get(i).range().start());
            memory.writeLong(at + 8, entries.get(i).range().size());
            memory.writeInt(at + 16, entries.get(i).kind().number());
        }
    }
}
