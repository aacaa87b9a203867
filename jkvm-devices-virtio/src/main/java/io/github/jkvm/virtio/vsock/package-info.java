/** The socket device: connections between programs of the guest and of the host. */
@NullMarked
package io.github.jkvm.virtio.vsock;

import org.jspecify.annotations.NullMarked;
