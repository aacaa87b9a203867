/**
 * The virtio network device (virtio 1.2, 5.1) and what it is plugged into.
 *
 * <p>A {@link io.github.jkvm.virtio.net.NetBackend} takes a guest's frames and has frames for it. Between virtual machines of one program, these are
 * the ports of a {@link io.github.jkvm.virtio.net.Switch} and the ends of a {@link io.github.jkvm.virtio.net.PointToPointLink}.
 */
@NullMarked
package io.github.jkvm.virtio.net;

import org.jspecify.annotations.NullMarked;
