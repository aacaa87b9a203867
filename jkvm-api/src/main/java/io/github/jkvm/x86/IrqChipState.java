package io.github.jkvm.x86;

import java.util.List;

/**
 * The interrupt controllers of a PC ({@code struct kvm_irqchip}): two 8259s and an IOAPIC.
 *
 * @param master the 8259 of lines 0 to 7
 * @param slave the 8259 of lines 8 to 15
 * @param ioapic the IOAPIC
 */
public record IrqChipState(Pic master, Pic slave, Ioapic ioapic) {

    /**
     * An 8259 ({@code struct kvm_pic_state}). Each part is a byte.
     *
     * @param lastIrr level of the inputs, to find edges
     * @param irr requests
     * @param imr mask
     * @param isr in service
     * @param priorityAdd highest priority line
     * @param irqBase vector of its first line
     * @param readRegSelect which register is read
     * @param poll poll mode
     * @param specialMask special mask mode
     * @param initState step of initialization
     * @param autoEoi automatic end of interrupt
     * @param rotateOnAutoEoi rotation at that
     * @param specialFullyNestedMode special fully nested mode
     * @param init4 whether initialization has four steps
     * @param elcr which lines are level-triggered
     * @param elcrMask which of them may be
     */
    public record Pic(
            int lastIrr,
            int irr,
            int imr,
            int isr,
            int priorityAdd,
            int irqBase,
            int readRegSelect,
            int poll,
            int specialMask,
            int initState,
            int autoEoi,
            int rotateOnAutoEoi,
            int specialFullyNestedMode,
            int init4,
            int elcr,
            int elcrMask) {}

    /**
     * An IOAPIC ({@code struct kvm_ioapic_state}).
     *
     * @param baseAddress where its registers are
     * @param ioregsel which register is selected
     * @param id its id
     * @param irr requests, a bit for each input
     * @param redirectionTable the 24 entries
     */
    public record Ioapic(long baseAddress, int ioregsel, int id, int irr, List<Long> redirectionTable) {
        /**
         * Checks the parts.
         *
         * @throws IllegalArgumentException if there are not 24 entries
         */
        public Ioapic {
            redirectionTable = List.copyOf(redirectionTable);
            if (redirectionTable.size() != 24) {
                throw new IllegalArgumentException(
                        "got " + redirectionTable.size() + " redirection entries; an IOAPIC has 24");
            }
        }
    }
}
