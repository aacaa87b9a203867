/**
 * A hypervisor in memory whose guests are Java programs, so that code written on the API is tested where there is no KVM, such as on macOS or
 * Windows.
 *
 * <p>{@link io.github.jkvm.testkit.scripted.ScriptedHypervisor} implements the whole API: memory, vCPUs and their threads, exits and answers,
 * doorbells, interrupts, event loops, dirty tracking, x86 state, lifetimes. What it lacks is a processor. What the guest does is told by a
 * {@link io.github.jkvm.testkit.scripted.GuestProgram}: Java code that reads ports, stores to memory, halts. A bus, a board or a device can't
 * tell the difference:
 *
 * <pre>{@code
 * GuestProgram program = guest -> {
 *     guest.portOut(0xE9, "ready\n");
 *     if (guest.portIn(0x60, 1) == 3) {
 *         guest.halt();
 *     }
 * };
 * try (var hypervisor = ScriptedHypervisor.running(program)) {
 *     ... // the code under test: createVm(), createVCpu(0), run()
 * }
 * }</pre>
 *
 * <p>It is handed to the code under test, and is not found by {@link io.github.jkvm.Hypervisor#open()}: a program must not end up with a
 * hypervisor that runs nothing. A test of code that calls {@code open()} registers a
 * {@link io.github.jkvm.spi.HypervisorProvider} of its own among its test resources, whose {@code open()} returns one made here.
 *
 * <p>What is not there: page tables, code and so instruction pointers that move; system management mode; single steps. Methods for these refuse as
 * a host without the capability does. Statistics, dirty rings and the like are KVM's own and not of this package.
 */
@NullMarked
package io.github.jkvm.testkit.scripted;

import org.jspecify.annotations.NullMarked;
