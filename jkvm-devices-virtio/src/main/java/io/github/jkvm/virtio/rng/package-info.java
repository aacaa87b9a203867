/** The entropy device: random bytes of the host for the guest's pool. */
@NullMarked
package io.github.jkvm.virtio.rng;

import org.jspecify.annotations.NullMarked;
