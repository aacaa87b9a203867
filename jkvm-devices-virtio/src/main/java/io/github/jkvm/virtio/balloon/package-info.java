/**
 * The virtio memory balloon (virtio 1.2, 5.5): takes memory from a guest and gives it back, takes what the guest has free anyway, and asks how
 * the guest uses its memory.
 */
@NullMarked
package io.github.jkvm.virtio.balloon;

import org.jspecify.annotations.NullMarked;
