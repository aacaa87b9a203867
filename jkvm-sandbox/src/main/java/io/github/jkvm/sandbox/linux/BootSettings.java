package io.github.jkvm.sandbox.linux;

import io.github.jkvm.Hypervisor;
import io.github.jkvm.machine.linux.InstalledKernel;
import io.github.jkvm.sandbox.GuestNetwork;
import io.github.jkvm.sandbox.Isolation;
import io.github.jkvm.sandbox.image.RootImage;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What a guest is made of.
 *
 * @param hypervisor runs it
 * @param kernel what it boots
 * @param root its root
 * @param memory bytes of RAM
 * @param vcpus number of processors
 * @param overlay how many bytes of the memory may be written to the root; 0 if none
 * @param network gives each guest that goes on after the boot its network, if it is to have one
 * @param patience how long the boot may take, and the answer after a restore
 * @param isolation where it runs
 */
public record BootSettings(
        Hypervisor hypervisor,
        InstalledKernel kernel,
        RootImage root,
        long memory,
        int vcpus,
        long overlay,
        Optional<Supplier<? extends GuestNetwork>> network,
        Duration patience,
        Isolation isolation) {}
