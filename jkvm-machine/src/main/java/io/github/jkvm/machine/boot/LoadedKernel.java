package io.github.jkvm.machine.boot;

import io.github.jkvm.GuestAddress;
import io.github.jkvm.x86.DescriptorTable;
import io.github.jkvm.x86.Registers;
import io.github.jkvm.x86.Segment;
import io.github.jkvm.x86.SpecialRegisters;
import java.util.Optional;

/**
 * A kernel that lies in guest memory, and what its first processor must hold to enter it.
 *
 * <p>A board sets {@link #registers()} and {@link #specialRegisters} on the boot processor; nothing else of its state matters to the
 * kernel.
 *
 * @param format how the image said where it wants to lie
 * @param mode the mode it is entered in
 * @param entry physical address of the first instruction
 * @param registers the general-purpose registers, with the instruction pointer and what the boot protocol passes in them
 * @param kernel where the kernel lies, with the memory it needs behind its last byte
 * @param info where the zero page, the PVH start info or the multiboot info lies, with what it points to but modules and command line
 * @param commandLine where the command line lies, with its closing zero byte
 * @param initrd where the initrd lies
 * @param descriptors the descriptor table for 32- and 64-bit entries
 * @param pageTables where the page tables for a 64-bit entry lie; they begin with the root
 */
public record LoadedKernel(
        KernelFormat format,
        EntryMode mode,
        GuestAddress entry,
        Registers registers,
        GuestRange kernel,
        Optional<GuestRange> info,
        Optional<GuestRange> commandLine,
        Optional<GuestRange> initrd,
        Optional<DescriptorTable> descriptors,
        Optional<GuestRange> pageTables) {

    /**
     * Checks that the tables that the mode needs are there.
     *
     * @throws IllegalArgumentException if one is not
     */
    public LoadedKernel {
        if ((mode != EntryMode.REAL16 && descriptors.isEmpty()) || (mode == EntryMode.LONG64 && pageTables.isEmpty())) {
            throw new IllegalArgumentException("entry in mode " + mode + " needs "
                    + (mode == EntryMode.LONG64 ? "descriptors and page tables" : "descriptors"));
        }
    }

    /**
     * Returns the segments, control registers and descriptor tables to enter the kernel with.
     *
     * @param reset the processor's after reset, of which the rest is kept
     * @return new registers
     */
    public SpecialRegisters specialRegisters(SpecialRegisters reset) {
        return switch (mode) {
            case REAL16 -> {
                int selector = (int) ((entry.value() - registers.rip()) >>> 4);
                yield reset.withSegments(
                                Segment.realMode(selector, Segment.TYPE_CODE),
                                Segment.realMode(selector, Segment.TYPE_DATA))
                        .withControl(SpecialRegisters.CR0_ET, 0, 0, 0);
            }
            case PROTECTED32 ->
                withDescriptors(reset, Segment.flat32(BootTables.CODE_SELECTOR, Segment.TYPE_CODE))
                        .withControl(SpecialRegisters.CR0_PE | SpecialRegisters.CR0_ET, 0, 0, 0);
            case LONG64 ->
                withDescriptors(reset, Segment.code64(BootTables.CODE_SELECTOR))
                        .withControl(
                                SpecialRegisters.CR0_PE | SpecialRegisters.CR0_ET | SpecialRegisters.CR0_PG,
                                pageTables.orElseThrow().start(),
                                SpecialRegisters.CR4_PAE,
                                SpecialRegisters.EFER_LME | SpecialRegisters.EFER_LMA);
        };
    }

    private SpecialRegisters withDescriptors(SpecialRegisters reset, Segment code) {
        return reset.withSegments(code, Segment.flat32(BootTables.DATA_SELECTOR, Segment.TYPE_DATA))
                .withTr(Segment.taskState(BootTables.TASK_SELECTOR))
                // No interrupt table: the kernel brings its own before it lets interrupts in.
                .withTables(descriptors.orElseThrow(), new DescriptorTable(0, 0));
    }
}
