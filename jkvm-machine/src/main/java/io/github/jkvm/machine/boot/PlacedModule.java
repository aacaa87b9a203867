package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A module and the place that was found for it: at the top of RAM below 4 GiB, on pages of its own.
 *
 * @param bytes its contents
 * @param range where they go
 * @param text its command line
 * @param commandLine where that goes
 */
record PlacedModule(MemorySegment bytes, GuestRange range, CommandLine text, GuestRange commandLine) {

    /** Plans the initrd, if there is one, and the modules after it. */
    static List<PlacedModule> plan(GuestLayout layout, BootParameters parameters) {
        List<PlacedModule> placed = new ArrayList<>();
        parameters.initrd().ifPresent(bytes -> placed.add(plan(layout, "initrd", bytes, CommandLine.empty())));
        for (BootParameters.Module module : parameters.modules()) {
            placed.add(plan(layout, "module", module.bytes(), module.commandLine()));
        }
        return placed;
    }

    private static PlacedModule plan(GuestLayout layout, String what, MemorySegment bytes, CommandLine text) {
        return new PlacedModule(
                bytes,
                layout.highest(what, bytes.byteSize(), GuestLayout.PAGE, GuestLayout.FOUR_GIB),
                text,
                BootText.plan(layout, text));
    }

    void write(GuestMemory memory) {
        memory.write(range.start(), bytes);
        BootText.write(memory, commandLine, text);
    }
}
