/**
 * Virtual machines as Java objects: {@link io.github.jkvm.Hypervisor}, {@link io.github.jkvm.Vm},
 * {@link io.github.jkvm.VCpu}, {@link io.github.jkvm.GuestMemory} and {@link io.github.jkvm.Device}.
 *
 * <p>Everything here is the same on every processor architecture; what only x86 has is in
 * {@link io.github.jkvm.x86}. Lifetimes nest: a hypervisor owns its machines, a machine owns its vCPUs, memory,
 * interrupts and doorbells. Closing the outer closes the inner, closing twice does nothing, and use after close is an
 * {@link java.lang.IllegalStateException}.
 */
@NullMarked
package io.github.jkvm;

import org.jspecify.annotations.NullMarked;
