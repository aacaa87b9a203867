/**
 * Sandboxes for code that nobody trusts, each a virtual machine of its own.
 *
 * <p>A sandbox is {@link io.github.jkvm.sandbox.SandboxState#READY}, or {@link io.github.jkvm.sandbox.SandboxState#POISONED} after it went over a limit, was
 * cancelled or broke down, until {@link io.github.jkvm.sandbox.Sandbox#restore()} brings it back to its clean state. Limits are kept by the host, whatever the
 * guest does.
 */
@NullMarked
package io.github.jkvm.sandbox;

import org.jspecify.annotations.NullMarked;
