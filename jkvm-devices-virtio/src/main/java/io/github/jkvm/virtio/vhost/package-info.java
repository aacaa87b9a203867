/**
 * Virtio devices whose queues another process of the host serves: the front end of the vhost-user protocol (QEMU, docs/interop/vhost-user.rst).
 *
 * <p>The other process, the back end, listens at a Unix socket and is handed the guest's memory: build the machine with shared memory.
 */
@NullMarked
package io.github.jkvm.virtio.vhost;

import org.jspecify.annotations.NullMarked;
