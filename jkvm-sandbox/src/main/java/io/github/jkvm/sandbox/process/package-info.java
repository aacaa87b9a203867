/** Processes that sandboxes run in, see {@link io.github.jkvm.sandbox.Isolation#PROCESS}; not exported. */
@NullMarked
package io.github.jkvm.sandbox.process;

import org.jspecify.annotations.NullMarked;
