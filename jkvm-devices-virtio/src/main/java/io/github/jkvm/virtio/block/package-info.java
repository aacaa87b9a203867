/**
 * The virtio block device (virtio 1.2, 5.2) and the disk images behind it.
 *
 * <p>A {@link io.github.jkvm.virtio.block.DiskImage} holds the bytes. The kinds there are: {@link io.github.jkvm.virtio.block.RawImage}, a
 * file or plain memory, byte for byte; {@link io.github.jkvm.virtio.block.OverlayImage}, which keeps what is written beside an image that stays
 * as it is; and {@link io.github.jkvm.virtio.block.Qcow2Image}. A format is always named by the program and never guessed
 * from content: a guest writes the content, and could make a raw disk look like an image that names any file of the host.
 */
@NullMarked
package io.github.jkvm.virtio.block;

import org.jspecify.annotations.NullMarked;
