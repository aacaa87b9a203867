package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.GuestMemory;
import io.github.jkvm.x86.Registers;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.Optional;

/**
 * Code without a header: where it goes and how it is entered is said here. Immutable.
 *
 * <p>The stack pointer starts at the load address, so that the stack grows down from below the image; the guest brings its own if that is not
 * RAM. In real mode all segments are the same: 0 for an image below 64 KiB, as a BIOS enters a boot sector, or the load address / 16
 * for one above, with the stack at the end of the segment.
 *
 * <p>{@snippet lang = java :
 * FlatImage image = FlatImage.of(code, GuestAddress.of(0x7C00), EntryMode.REAL16);
 * }
 */
public final class FlatImage implements KernelImage {
    /** What real mode reaches without the last bit of its address line: 1 MiB. */
    private static final long REAL_MODE_END = 1 << 20;

    private static final long SEGMENT_SIZE = 1 << 16;

    private final MemorySegment bytes;
    private final GuestRange range;
    private final EntryMode mode;
    private final long entry;

    private FlatImage(MemorySegment bytes, GuestRange range, EntryMode mode, long entry) {
        this.bytes = bytes;
        this.range = range;
        this.mode = Objects.requireNonNull(mode, "mode");
        this.entry = entry;
        long end = mode == EntryMode.REAL16 ? REAL_MODE_END : GuestLayout.FOUR_GIB;
        if (range.size() == 0 || range.end() > end) {
            throw new IllegalArgumentException("flat image of " + range.size() + " bytes at 0x"
                    + Long.toHexString(range.start()) + " must have a byte and end at or below 0x"
                    + Long.toHexString(end) + " to be entered in mode " + mode);
        }
        if (!range.contains(new GuestRange(entry, 1))) {
            throw new IllegalArgumentException(
                    "entry 0x" + Long.toHexString(entry) + " is outside the flat image " + range);
        }
        if (mode == EntryMode.REAL16 && entry - realModeBase() >= SEGMENT_SIZE) {
            throw new IllegalArgumentException("entry 0x" + Long.toHexString(entry)
                    + " is beyond the 64 KiB of the real-mode segment at 0x" + Long.toHexString(realModeBase()));
        }
    }

    /**
     * Returns an image that is entered at its first byte.
     *
     * @param code the code; copied; not empty
     * @param load where it goes; below 1 MiB for {@link EntryMode#REAL16}, else below 4 GiB
     * @param mode the mode it is entered in
     * @return the image
     * @throws IllegalArgumentException if the code is empty or does not fit below the limit
     */
    public static FlatImage of(byte[] code, GuestAddress load, EntryMode mode) {
        return new FlatImage(
                MemorySegment.ofArray(code.clone()).asReadOnly(),
                new GuestRange(load.value(), code.length),
                mode,
                load.value());
    }

    /**
     * Returns the same image with another entry.
     *
     * @param address the address of the first instruction, inside the image
     * @return the image
     * @throws IllegalArgumentException if it is not inside the image or, in real mode, beyond the segment's 64 KiB
     */
    public FlatImage withEntry(GuestAddress address) {
        return new FlatImage(bytes, range, mode, address.value());
    }

    private long realModeBase() {
        return range.start() < SEGMENT_SIZE ? 0 : range.start() & -16;
    }

    @Override
    public KernelFormat format() {
        return KernelFormat.FLAT;
    }

    @Override
    public LoadedKernel load(GuestMemory memory, BootParameters parameters) {
        parameters.checkNothingToPass("a flat image");
        GuestLayout layout = new GuestLayout(memory, parameters.memoryMap());
        if (!layout.isRam(range)) {
            throw new IllegalArgumentException(
                    "flat image " + range + " is not all in RAM, which is " + parameters.memoryMap());
        }
        layout.take(range);
        Optional<BootTables> tables =
                mode == EntryMode.REAL16 ? Optional.empty() : Optional.of(BootTables.plan(layout, mode));
        memory.write(range.start(), bytes);
        tables.ifPresent(planned -> planned.write(memory));
        return new LoadedKernel(
                format(),
                mode,
                GuestAddress.of(entry),
                registers(),
                range,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                tables.map(BootTables::register),
                tables.flatMap(BootTables::pageTables));
    }

    private Registers registers() {
        if (mode != EntryMode.REAL16) {
            return Registers.INITIAL.withRip(entry).withRsp(range.start());
        }
        long stack = realModeBase() == 0 ? range.start() : 0;
        return Registers.INITIAL.withRip(entry - realModeBase()).withRsp(stack);
    }
}
