/**
 * Virtqueues as a device sees them, over any {@link io.github.jkvm.GuestMemory}.
 *
 * <p>A device pops {@linkplain io.github.jkvm.virtio.queue.DescriptorChain chains} from a {@link io.github.jkvm.virtio.queue.VirtQueue},
 * reads requests and writes answers through their reader and writer, and completes them. The driver is not trusted: what it may not
 * do by the specification (Virtual I/O Device Version 1.2, OASIS, cited here as "virtio 1.2") stops the queue with a
 * {@link io.github.jkvm.virtio.queue.QueueFault}, and never is an exception.
 */
@NullMarked
package io.github.jkvm.virtio.queue;

import org.jspecify.annotations.NullMarked;
