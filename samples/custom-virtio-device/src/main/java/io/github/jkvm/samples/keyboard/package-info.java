/** A virtio device of one's own, and the guest that proves it. */
@NullMarked
package io.github.jkvm.samples.keyboard;

import org.jspecify.annotations.NullMarked;
