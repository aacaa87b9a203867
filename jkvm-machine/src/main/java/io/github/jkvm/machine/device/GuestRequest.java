package io.github.jkvm.machine.device;

/**
 * Something a guest asks of its machine through a device. Given to a consumer on the thread of the vCPU that asks, which goes on running
 * until the consumer makes it stop.
 */
public sealed interface GuestRequest {

    /**
     * The guest switches its machine off.
     *
     * @param via the device and register it used, for messages
     */
    record PowerOff(String via) implements GuestRequest {}

    /**
     * The guest restarts its machine.
     *
     * @param via the device and register it used, for messages
     */
    record Reset(String via) implements GuestRequest {}

    /**
     * The guest's kernel crashed.
     *
     * @param via the device and register it used, for messages
     */
    record Panic(String via) implements GuestRequest {}

    /**
     * The guest is done and tells how it went.
     *
     * @param via the device and register it used, for messages
     * @param code what it wrote, unsigned 32 bits as an int
     */
    record Exit(String via, int code) implements GuestRequest {}
}
