package io.github.jkvm.sandbox.function;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A guest's program, with the types that the host adds to it and where in memory all of it goes: what is known of a guest before it has a machine. */
final class GuestProgram {
    /** Where in an entry of the guest's table of imports the host writes (struct jkvm_import of jkvm-sandbox.h). */
    private static final int IMPORT_INDEX = 24;

    private static final int IMPORT_TYPES = 32;

    private final GuestImage image;
    private final GuestTypes types;
    private final GuestInterface functions;
    private final MemoryPlan plan;

    GuestProgram(byte[] elf, GuestSizes sizes) {
        image = new GuestImage(elf);
        long programEnd = GuestImage.pageEnd(image.parts().getLast().end());
        types = new GuestTypes(programEnd);
        functions = GuestInterface.read(image, types);
        plan = new MemoryPlan(programEnd, types.end(), sizes);
    }

    GuestImage image() {
        return image;
    }

    GuestInterface functions() {
        return functions;
    }

    MemoryPlan plan() {
        return plan;
    }

    /** Writes the program and its types to where they go. */
    void writeTo(MemorySegment memory) {
        for (GuestImage.Part part : image.parts()) {
            if (part.end() > plan.typesStart()) {
                throw new BadGuestException("its program does not fit into " + plan.memory() + " bytes of memory");
            }
            MemorySegment bytes = MemorySegment.ofBuffer(image.bytes(part));
            MemorySegment.copy(bytes, 0, memory, part.address() - GuestImage.BASE, bytes.byteSize());
        }
        MemorySegment typeBytes = MemorySegment.ofBuffer(types.bytes());
        MemorySegment.copy(typeBytes, 0, memory, plan.typesStart() - GuestImage.BASE, typeBytes.byteSize());
        for (GuestTypes.ImportEntry entry : types.imports()) {
            long at = entry.entry() - GuestImage.BASE;
            memory.set(ValueLayout.JAVA_LONG_UNALIGNED, at + IMPORT_INDEX, entry.index());
            memory.set(ValueLayout.JAVA_LONG_UNALIGNED, at + IMPORT_TYPES, entry.types());
        }
    }

    /** Writes a processor's call page as it is before the first call. */
    void preparePage(int processor, MemorySegment page) {
        boolean last = processor + 1 == plan.processors();
        CallPage.prepare(page, plan.page(processor), last ? plan.heapEnd() : plan.heap(processor + 1));
    }
}
