/** Virtio devices: what they are built on and what they share. */
@NullMarked
package io.github.jkvm.virtio;

import org.jspecify.annotations.NullMarked;
