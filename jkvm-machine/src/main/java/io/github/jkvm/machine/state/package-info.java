/** What snapshots and sandboxes share: the state of a vCPU, and pages of zeros; exported to jkvm's own modules only. */
@NullMarked
package io.github.jkvm.machine.state;

import org.jspecify.annotations.NullMarked;
