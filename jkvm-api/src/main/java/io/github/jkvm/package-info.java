/**
 * Virtual machines as Java objects: {@link io.github.jkvm.Hypervisor}, {@link io.github.jkvm.Vm},
 * {@link io.github.jkvm.VCpu}, {@link io.github.jkvm.GuestMemory} and {@link io.github.jkvm.Device}.
 *
 * <p>Everything here is the same on every processor architecture; what only x86 has is in
 * {@link io.github.jkvm.x86}. Lifetimes nest: a hypervisor owns its machines, a machine owns its vCPUs, memory,
 * interrupts and doorbells. Closing the outer closes the inner, closing twice does nothing, and use after close is an
 * {@link java.lang.IllegalStateException}.
 *
 * <p>A device that is a function on a PCI bus describes itself by a {@link io.github.jkvm.PciFunction}, plugs that into the
 * {@link io.github.jkvm.PciBus} of {@link io.github.jkvm.Bus#pci()}, and interrupts the guest through the {@link io.github.jkvm.PciSlot} it gets;
 * section numbers there are those of the PCI Local Bus Specification, revision 3.0.
 */
@NullMarked
package io.github.jkvm;

import org.jspecify.annotations.NullMarked;
