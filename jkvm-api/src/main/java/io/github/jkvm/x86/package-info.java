/**
 * What only x86 machines have: registers, CPUID, model-specific registers, local APIC, interrupt controllers and timer.
 *
 * <p>A {@link io.github.jkvm.Hypervisor}, {@link io.github.jkvm.Vm} or {@link io.github.jkvm.VCpu} of an x86 host is also an
 * {@link io.github.jkvm.x86.X86Hypervisor}, {@link io.github.jkvm.x86.X86Vm} or {@link io.github.jkvm.x86.X86VCpu}; their static
 * {@code of} methods give it, or say that the host is another one.
 *
 * <p>Structures and numbers follow Linux, arch/x86/include/uapi/asm/kvm.h; their meaning is in the Intel Software Developer's Manual (SDM)
 * and the AMD64 Architecture Programmer's Manual.
 */
@NullMarked
package io.github.jkvm.x86;

import org.jspecify.annotations.NullMarked;
