package io.github.jkvm.testkit.virtio;

/**
 * A chain that the device has used (virtio 1.2, 2.7.8 and 2.8.4).
 *
 * @param id what {@link DriverQueue#add(Buffer...)} returned for it
 * @param length how many bytes the device says it wrote
 */
public record Used(int id, long length) {}
