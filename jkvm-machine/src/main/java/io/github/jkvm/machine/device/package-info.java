/**
 * The devices of a PC board: serial ports, clock, keyboard controller, power management and the ports by which a guest tells how it ended.
 *
 * <p>Each is a {@link io.github.jkvm.Device} that works on any {@link io.github.jkvm.Bus}, saves and restores its state, and needs no other.
 * What a guest asks of its machine, such as power-off, goes as a {@link io.github.jkvm.machine.device.GuestRequest} to whoever the
 * device was made with.
 */
@NullMarked
package io.github.jkvm.machine.device;

import org.jspecify.annotations.NullMarked;
