/** What the pools of machines and of sandboxes are made with; exported to jkvm's own modules only. */
@NullMarked
package io.github.jkvm.machine.pool;

import org.jspecify.annotations.NullMarked;
