/**
 * The PCI bus of a PC board: host bridge, configuration space, placing of registers, message interrupts and pins.
 *
 * <p>Section numbers are those of the PCI Local Bus Specification, revision 3.0, unless another document is named.
 */
@NullMarked
package io.github.jkvm.machine.pci;

import org.jspecify.annotations.NullMarked;
