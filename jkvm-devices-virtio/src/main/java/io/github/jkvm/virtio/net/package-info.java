/**
 * The virtio network device (virtio 1.2, 5.1) and what it is plugged into.
 *
 * <p>A {@link io.github.jkvm.virtio.net.NetBackend} takes a guest's frames and has frames for it. The kinds there are:
 * {@link io.github.jkvm.virtio.net.TapBackend}, a network interface of the host; {@link io.github.jkvm.virtio.net.StreamBackend}, a socket to
 * a program such as {@code passt}; and, between virtual machines of one program, the ports of a {@link io.github.jkvm.virtio.net.Switch} and the
 * ends of a {@link io.github.jkvm.virtio.net.PointToPointLink}.
 */
@NullMarked
package io.github.jkvm.virtio.net;

import org.jspecify.annotations.NullMarked;
