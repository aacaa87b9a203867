/**
 * What a device needs to be a function on a PCI bus: it describes itself by a {@link io.github.jkvm.pci.PciFunction}, plugs that into the
 * {@link io.github.jkvm.pci.PciBus} of {@link io.github.jkvm.Bus#pci()}, and interrupts the guest through the
 * {@link io.github.jkvm.pci.PciSlot} it gets.
 *
 * <p>The bus keeps what is the same for all functions: configuration space, the placing of base address registers (BARs), and message
 * interrupts (MSI-X). Section numbers are those of the PCI Local Bus Specification, revision 3.0.
 */
@NullMarked
package io.github.jkvm.pci;

import org.jspecify.annotations.NullMarked;
