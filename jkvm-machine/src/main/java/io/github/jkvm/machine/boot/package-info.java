/**
 * Putting a kernel into guest memory and saying how to enter it.
 *
 * <p>A {@link io.github.jkvm.machine.boot.KernelImage} is parsed from bytes, checked to the last field, and loaded into a
 * {@link io.github.jkvm.GuestMemory} with the {@link io.github.jkvm.machine.boot.BootParameters} of the board. The
 * {@link io.github.jkvm.machine.boot.LoadedKernel} that comes back tells the registers to start a processor with. Nothing here needs a
 * hypervisor or a particular host.
 *
 * <p>Numbers and layouts are from: Linux, Documentation/arch/x86/boot.rst and zero-page.rst; the Multiboot Specification, version
 * 0.6.96; Xen, docs/misc/pvh.pandoc and xen/include/public/arch-x86/hvm/start_info.h; the System V ABI's ELF chapters.
 */
@NullMarked
package io.github.jkvm.machine.boot;

import org.jspecify.annotations.NullMarked;
