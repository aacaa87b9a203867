/**
 * Virtio devices and the transports that connect them to a guest.
 *
 * <p>A device is a {@link io.github.jkvm.virtio.VirtioDevice}: what it offers, and what it does with the chains of its queues. A transport,
 * {@link io.github.jkvm.virtio.VirtioMmio}, makes it a {@link io.github.jkvm.Device} of a machine. The device does not know which one
 * it is on. Sections are those of Virtual I/O Device Version 1.2, OASIS, cited as "virtio 1.2".
 */
@NullMarked
package io.github.jkvm.virtio;

import org.jspecify.annotations.NullMarked;
