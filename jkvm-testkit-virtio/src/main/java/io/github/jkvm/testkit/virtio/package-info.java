/**
 * The driver's side of virtio 1.2 over plain memory: tests of a device, with no hypervisor and no guest.
 *
 * <p>A test attaches its device, in whatever transport it has, to a {@link io.github.jkvm.testkit.virtio.VirtioDriver}, and talks to it as a
 * kernel's driver would:
 *
 * <pre>{@code
 * try (var driver = VirtioDriver.attach(new VirtioMmio(new Echo()))) {
 *     driver.start();                                                     // reset, features, queues, DRIVER_OK
 *     byte[] answer = driver.send(0, Chain.of().readable(1, 2, 3).writable(8));
 *     assertArrayEquals(new byte[] {1, 2, 3}, answer);                    // as many bytes as the device says it wrote
 *     assertEquals(1, driver.interrupts());
 * }
 * }</pre>
 *
 * <p>What a driver must not do is one more word, {@link io.github.jkvm.testkit.virtio.Chain#broken}; the rings can also be written as the test
 * likes ({@link io.github.jkvm.testkit.virtio.SplitDriverQueue}, {@link io.github.jkvm.testkit.virtio.PackedDriverQueue}). Property tests
 * take their chains from {@link io.github.jkvm.testkit.virtio.ChainArbitraries}, and {@link io.github.jkvm.testkit.virtio.DeviceFuzz}
 * drives a device at random.
 *
 * <p>Nothing here shares code with a device: the formats of rings and registers are written down from the specification once more. All
 * runs on the test's thread, step by step; see {@link io.github.jkvm.testkit.virtio.ManualEventLoop}. Unless a class says otherwise, its
 * objects are for one thread.
 */
@NullMarked
package io.github.jkvm.testkit.virtio;

import org.jspecify.annotations.NullMarked;
