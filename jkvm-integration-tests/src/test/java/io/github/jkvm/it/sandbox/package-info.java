/** Sandboxes with guests that the host's own compiler makes. */
@NullMarked
package io.github.jkvm.it.sandbox;

import org.jspecify.annotations.NullMarked;
